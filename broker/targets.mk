# The broker's tasks; the top Makefile includes this.

.PHONY: test-broker
test-broker: ## the broker on SQLite and a real PostgreSQL; kill -9 again and again (IMAGXP_BROKER_KILLS); jose through a key rotation
	@broker/tests/with-postgres.sh $(CARGO) test -p imagxp-broker
	@tools/interop/broker.sh

.PHONY: broker-dev
broker-dev: ## a broker to try things with, on http://localhost:3000
	@$(CARGO) run --quiet -p imagxp-cli -- broker --dev
