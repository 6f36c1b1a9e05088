# The documentation site. Its tools have an environment of their own.

MKDOCS = "$(UV)" tool run --quiet --with-requirements docs/requirements.txt mkdocs

.PHONY: docs docs-serve

docs: $(READY) ## build the documentation in build/site; a broken link is an error
	$(MKDOCS) build --strict

docs-serve: $(READY) ## show it on this machine, and again after each change
	$(MKDOCS) serve
