# The Go package's tasks; the top Makefile includes this.

.PHONY: test-go
test-go: ## the Go package: vectors, race detector, cgocheck2, Redis, the module's zip, Caddy
	@bindings/go/test.sh

.PHONY: go-lib
go-lib: ## puts libimagxp.a and imagxp.h into bindings/go, to work there with the go command
	@bindings/go/build-lib.sh

.PHONY: dist go-dist go-long
dist: go-dist ## what is handed out
go-dist: ## the Go modules with the library in them, below target/dist/goproxy
	@bindings/go/dist.sh

go-long: ## the Go package: each fuzz target for ten minutes, 64 goroutines with the same million requests
	@bindings/go/long.sh

.PHONY: test-go-broker
test-go-broker: ## the Go wallet and feedback against the project's broker
	@bindings/go/build-lib.sh
	@$(CARGO) build --quiet -p imagxp-cli
	@. tools/abi-setup.sh && . bindings/go/setup.sh && set_up_go && bin=$$(realpath "$$target/debug/imagxp") && cd bindings/go && \
		IMAGXP_BIN=$$bin go test -count=1 -tags broker -run TheBroker .
