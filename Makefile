# Every task of the project. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
PREFIX ?= /usr/local
CARGO ?= cargo
export CARGO_TERM_COLOR ?= auto

# What `make test` runs, in this order: quick refusals first.
PARTS := lint test-core vectors test-ffi test-host test-cli test-broker test-jose test-go test-go-broker test-nginx test-python
TRUST := abi panic-free constant-time sanitize fuzz-smoke deny

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | sort | column -t -s "$$(printf '\t')"

.PHONY: setup
setup: ## installs what the tests need (Debian, root)
	@tools/setup.sh

.PHONY: test
test: setup ## every test of every part
	@tools/run-parts.sh $(PARTS) $(TRUST)

.PHONY: lint
lint: ## formatting and clippy, warnings are errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) clippy -p imagxp --no-default-features --features float --all-targets -- -D warnings

.PHONY: test-core
test-core: ## the library: units, laws, cases, documentation; with our curve and with crate p256
	$(CARGO) test -p imagxp --features ec-testing
	$(CARGO) test -p imagxp --profile library --test stack -- --nocapture
	RUSTFLAGS="--cfg imagxp_force_32" $(CARGO) test -p imagxp --features ec-testing --test ec --target-dir target/force-32
	$(CARGO) test -p imagxp --no-default-features --features float
	$(CARGO) build -p imagxp --no-default-features

.PHONY: vectors
vectors: ## only the cases; the last line is `N passed, N failed`
	@tools/setup.sh build
	@tools/vectors.sh

.PHONY: test-host
test-host: ## the fetcher and the publisher's loop for Rust servers
	$(CARGO) test -p imagxp-host

.PHONY: test-cli
test-cli: ## the command line, as a user runs it
	$(CARGO) test -p imagxp-cli

.PHONY: demo
demo: ## an agent, a broker and publishers: the real deal, the fake, the junk, over real HTTP
	@tools/setup.sh build
	@$(CARGO) build --release -p imagxp-cli
	@target/release/imagxp demo

.PHONY: bench-ratios
bench-ratios: setup ## every figure beside its baselines (ONLY=core: two minutes)
	@tools/bench-ratios.sh $(ONLY)

.PHONY: install
install: ## the header, the libraries, imagxp.pc and the command line, below PREFIX
	@tools/install.sh "$(PREFIX)"

.PHONY: doc
doc: ## the manual of the crate
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc -p imagxp --no-deps

.PHONY: size
size: ## code size of the library beside crate p256's
	@tools/size.sh

.PHONY: fuzz-smoke
fuzz-smoke: setup ## every fuzz target for SECONDS_EACH (30) seconds
	@tools/fuzz.sh $${SECONDS_EACH:-30}

.PHONY: fuzz
fuzz: setup ## every fuzz target for an hour
	@tools/fuzz.sh 3600

.PHONY: constant-time
constant-time: setup ## the shipped archive: valgrind with secrets undefined, and a timing test with a planted leak
	@tools/constant-time.sh

.PHONY: sanitize
sanitize: setup ## the C programs under valgrind and AddressSanitizer; no secret is left behind
	@tools/sanitize.sh

.PHONY: test-jose
test-jose: setup ## visas and key sets against jose (npm) and PyJWT
	@tools/interop.sh

.PHONY: ec-long
ec-long: ## our curve against crate p256 on ten million cases (ten minutes on two idle cores)
	IMAGXP_EC_CASES=10000000 $(CARGO) test -p imagxp --release --features ec-testing --test ec -- --nocapture

.PHONY: replay-long
replay-long: ## 10,000 kills, and 64 threads of a million requests
	IMAGXP_KILLS=10000 IMAGXP_RACES=1000000 $(CARGO) test -p imagxp --release --test replay_kill --test replay_cache -- --nocapture

.PHONY: deny
deny: ## licences and sources of every dependency
	@tools/deny.sh

include ffi/targets.mk
include bindings/go/targets.mk
include bindings/nginx/targets.mk
include bindings/python/targets.mk
include broker/targets.mk
