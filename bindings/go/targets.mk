# The Go package's tasks; the top Makefile includes this.

.PHONY: test-go
test-go: ## the Go package: vectors, race detector, cgocheck2, Redis, the module's zip, Caddy
	@bindings/go/test.sh

.PHONY: go-lib
go-lib: ## puts libimagxp.a and imagxp.h into bindings/go, to work there with the go command
	@bindings/go/build-lib.sh
