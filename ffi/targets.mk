# The C library's tasks; the top Makefile includes this.

.PHONY: test-ffi
test-ffi: ## the C library: programs in C, Go, Python and for chips; the shared cases
	@tools/abi-tests.sh

.PHONY: abi
abi: ## the header, the symbols and the layouts are those that were promised
	@tools/abi-check.sh

.PHONY: panic-free
panic-free: ## proof at link time of the entry points that cannot reach a panic
	@tools/panic-free.sh

.PHONY: header
header: ## writes include/imagxp.h from ffi/src
	@$(CARGO) run --quiet -p imagxp-header

.PHONY: install-lib
install-lib: ## the header, both libraries and imagxp.pc, below PREFIX
	@tools/install.sh "$(PREFIX)" lib
