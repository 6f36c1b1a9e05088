# `make help` lists the targets. Nothing is needed but Python >= 3.11, git and make: the tools go into
# .venv, and where `uv` is missing it goes there too.

PYTHON ?= python3
ARGS =

BIN := .venv/bin
UV := $(or $(shell command -v uv 2>/dev/null),$(BIN)/uv)
READY := .venv/.ready
DEMO := build/demo
COPY := $(BIN)/copier copy --quiet --defaults --overwrite --vcs-ref HEAD "$(CURDIR)"

.DEFAULT_GOAL := help
.PHONY: help demo render check format test test-faults mutants bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z%-]+:.*## / { sub("%", "<pattern>", $$1); printf "  make %-20s %s\n", $$1, $$2 }' Makefile

demo: $(READY) ## scaffold a project in build/demo and train its demo; no account, no data set needed
	@mkdir -p $(DEMO)
	@find $(DEMO) -mindepth 1 -maxdepth 1 ! -name .venv ! -name pyproject.toml ! -name data ! -name runs -exec rm -rf {} +
	$(COPY) $(DEMO)
	$(MAKE) --no-print-directory -C $(DEMO) init HINT=no
	cd $(DEMO) && .venv/bin/python -m my_project
	@echo "All this is in $(DEMO). To go on there: cd $(DEMO) && source .venv/bin/activate"

render: $(READY) ## render the project with the default answers into build/example
	rm -rf build/example
	$(COPY) build/example

check: $(READY) ## lint and formatting, here and in the template; changes no file
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.circle-ci .circleci/config.yml template/.circleci/config.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows template/.github/workflows/ci.yml

format: $(READY) ## format, and mend what can be mended; the only target that changes code
	$(BIN)/ruff format
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

test: $(READY) ## all tests; fewer with ARGS="-m 'not slow'"
	$(BIN)/python -m pytest --numprocesses=auto --maxprocesses=2 --dist=loadgroup $(ARGS)

test-faults: demo ## kills, full disks and broken servers, in the project of the demo; minutes
	$(MAKE) --no-print-directory -C $(DEMO) test-faults

test-pdb-%: $(READY) ## the tests that match, with the debugger at the first failure
	$(BIN)/python -m pytest -k "$*" --pdb $(ARGS)

test-%: $(READY) ## the tests that match
	$(BIN)/python -m pytest -k "$*" $(ARGS)

mutants: $(READY) ## break the project in a hundred places, and count the tests that notice; an hour
	@test -f $(DEMO)/pyproject.toml || $(COPY) $(DEMO)
	$(MAKE) --no-print-directory -C $(DEMO) init HINT=no
	$(BIN)/python tests/mutants/run.py $(ARGS)

bench: $(READY) ## measure the generated project against its references
	@test -f $(DEMO)/pyproject.toml || $(COPY) $(DEMO)
	$(MAKE) --no-print-directory -C $(DEMO) init
	$(DEMO)/.venv/bin/python -m bench $(ARGS)

clean: ## remove everything that was made: environments, renders, caches
	rm -rf build .venv .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# ---------------------------------------------------------------------------------------- environment

$(READY): pyproject.toml | $(BIN)/python
	@if [ ! -x "$(UV)" ]; then echo "Installing uv into .venv"; \
		$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null; \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check uv; fi
	@echo "Installing the template's own tools"
	@"$(UV)" pip install --quiet --python $(BIN)/python --group dev
	@touch $@

$(BIN)/python:
	@if [ -x "$(UV)" ]; then "$(UV)" venv --quiet --python '>=3.11' .venv; \
	else \
		$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
			|| { echo "expected Python 3.11 or newer, got '$(PYTHON)' = $$($(PYTHON) --version 2>&1); try make $(MAKECMDGOALS) PYTHON=/path/to/python3.12" >&2; exit 1; }; \
		$(PYTHON) -m venv .venv; fi
