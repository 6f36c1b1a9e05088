# `make help` lists the targets. Nothing is needed but Python >= 3.11, git and make: the tools go into
# .venv, and where `uv` is missing it goes there too.

PYTHON ?= python3
ARGS =

BIN := .venv/bin
UV := $(or $(shell command -v uv 2>/dev/null),$(BIN)/uv)
READY := .venv/.ready
DEMO := build/demo
COPY := $(BIN)/copier copy --quiet --defaults --overwrite --vcs-ref HEAD "$(CURDIR)"
SIDE_BY_SIDE := --numprocesses=auto --maxprocesses=2
ENGINE_TESTS := $(DEMO)/.venv/bin/python -m pytest -c tests/engine/pytest.ini tests/engine

# A project and an environment; what a former render left there goes.
define MAKE_PROJECT
@mkdir -p $(DEMO)
@find $(DEMO) -mindepth 1 -maxdepth 1 ! -name .venv ! -name pyproject.toml ! -name data ! -name runs -exec rm -rf {} +
$(COPY) $(1) $(DEMO)
$(MAKE) --no-print-directory -C $(DEMO) init HINT=no
endef

# The engine is tested with all tasks and rooms, a user sees the default answers.
MAKE_DEMO = $(call MAKE_PROJECT,)
MAKE_ALL = $(call MAKE_PROJECT,-d 'tasks=[images$(COMMA)multilabel$(COMMA)segmentation$(COMMA)tabular$(COMMA)text]' \
	-d 'options=[docker$(COMMA)slurm$(COMMA)sweep$(COMMA)report$(COMMA)wandb$(COMMA)huggingface$(COMMA)pipelines$(COMMA)pretrained]')
COMMA := ,

# Both suites, whatever the first comes to; status 5 of pytest: nothing matched, which may be so in one.
define MATCHING
@$(BIN)/python -m pytest $(1) $(ARGS); first=$$?; \
$(ENGINE_TESTS) $(1) $(ARGS); second=$$?; \
[ $$first$$second != 55 ] && { [ $$first = 0 ] || [ $$first = 5 ]; } && { [ $$second = 0 ] || [ $$second = 5 ]; }
endef

.DEFAULT_GOAL := help
.PHONY: help demo render check format test test-template test-engine test-faults mutants bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z%-]+:.*## / { sub("%", "<pattern>", $$1); printf "  make %-20s %s\n", $$1, $$2 }' Makefile

demo: $(READY) ## scaffold a project in build/demo and train its demo; needs no account or data set
	$(MAKE_DEMO)
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

format: $(READY) ## format, and fix what can be fixed; the only target that changes code
	$(BIN)/ruff format
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

test: test-template $(if $(ARGS),,test-engine) ## all tests; with ARGS="-m 'not slow'" only those of the template it selects

test-template: $(READY)
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) --dist=loadgroup $(ARGS)

test-engine: $(READY) ## the engine's tests, in a project of all tasks
	$(MAKE_ALL)
	$(ENGINE_TESTS) $(SIDE_BY_SIDE) --dist=worksteal $(ARGS)

test-faults: $(READY) ## kills, full disks and broken servers, in a project of all tasks; minutes
	$(MAKE_ALL)
	"$(UV)" pip install --quiet --python $(DEMO)/.venv/bin/python 'psycopg[binary]>=3.2,<4'
	$(ENGINE_TESTS) $(SIDE_BY_SIDE) --dist=worksteal -m faults -rs $(ARGS)

test-pdb-%: $(READY) ## the tests that match, with the debugger at the first failure
	$(MAKE_ALL)
	$(call MATCHING,--pdb -k "$*")

test-%: $(READY) ## the tests that match, of the template and of the engine
	$(MAKE_ALL)
	$(call MATCHING,-k "$*")

mutants: $(READY) ## break the project in some 160 places, and count how often its tests notice; half an hour
	$(MAKE_ALL)
	$(BIN)/python tests/mutants/run.py $(ARGS)

bench: $(READY) ## measure the generated project against its references
	@test -f $(DEMO)/pyproject.toml || $(COPY) $(DEMO)
	$(MAKE) --no-print-directory -C $(DEMO) init
	"$(UV)" pip install --quiet --python $(DEMO)/.venv/bin/python rich # the bar of a reference
	$(DEMO)/.venv/bin/python -m bench $(ARGS)

clean: ## remove everything built: environments, renders, caches
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
