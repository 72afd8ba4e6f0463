# Python's tasks; the top Makefile includes this.

.PHONY: test-python
test-python: ## the Python package: wheel and sdist, types, servers, clients, stores, cases, on every interpreter found
	@bindings/python/test.sh
