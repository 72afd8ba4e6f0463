# The nginx module's tasks; the top Makefile includes this.

.PHONY: nginx
nginx: ## the nginx module for Debian's nginx, in target/nginx/debian
	@bindings/nginx/build.sh target/nginx/debian

.PHONY: test-nginx
test-nginx: ## the nginx module: Debian's nginx with TLS agents and a name server, then with AddressSanitizer
	@bindings/nginx/test.sh

.PHONY: nginx-soak
nginx-soak: ## ten million requests (REQUESTS) and a million races (RACES): memory, descriptors, exactly once
	@SOAK=1 bindings/nginx/test.sh
