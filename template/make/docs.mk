# The documentation site. Its tools have an environment of their own.

MKDOCS = NO_MKDOCS_2_WARNING=1 "$(UV)" tool run --quiet --with-requirements docs/requirements.txt mkdocs

.PHONY: docs docs-serve

docs: | $(UV) ## build the documentation in build/site; a broken link is an error
	@told=$$($(MKDOCS) build --strict 2>&1) || { echo "$$told" | grep -v '^INFO' >&2; exit 1; }
	@echo "Built: open build/site/index.html (its search wants a server: make docs-serve)"

docs-serve: | $(UV) ## serve it locally, rebuilt after each change
	$(MKDOCS) serve
