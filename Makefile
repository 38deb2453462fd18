# `make` says what there is. Everything runs in a virtual environment of this tree, filled once
# from pyproject.toml in the versions of constraints.txt; nothing else is needed but Python and pip.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

FOR_DEMO := $(VENV)/.filled-for-demo
FOR_WORK := $(VENV)/.filled-for-work

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo demo-jaeger demo-second setup test check bench services clean

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "PYTHON=python3.12 chooses the interpreter, ARGS=... gives the command more arguments:"
	@echo "  make demo ARGS=--keep          make test ARGS='tests/core -x'"

demo: $(FOR_DEMO) ## a small host, a dozen generations, and their traces
	@$(BIN)/python -m examples.demo $(ARGS)

demo-jaeger: $(FOR_DEMO) ## the same into a Jaeger, which `make services` builds; until Ctrl-C
	@$(BIN)/python -m examples.demo --jaeger auto --keep $(ARGS)

demo-second: $(FOR_DEMO) ## another, unlike host, served by a profile alone
	@$(BIN)/python -m examples.print_shop $(ARGS)
	@$(BIN)/gentrace list --source .print_shop/spool

setup: $(FOR_WORK) ## only fills the environment, for the tests and checks

test: $(FOR_WORK) ## all tests, side by side; without a server (`make services`) its tests are skipped
	$(BIN)/python -m pytest -n auto $(ARGS)

check: $(FOR_WORK) ## ruff, pyright, import-linter
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

bench: $(FOR_WORK) ## what gentrace costs, beside other tools (docs/cost.md): an hour; ARGS=--quick: minutes
	@$(BIN)/python -m bench.cost $(ARGS)

services: ## Redis, PostgreSQL, Jaeger, the Collector, Chromium for the tests: installs what is missing
	@$(PYTHON) -m tools.services install

clean: ## removes the environment, the demo's files and all caches
	rm -rf .venv .demo .print_shop .pytest_cache .ruff_cache .import_linter_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A venv without pip (Debian without python3-venv) takes the one that made it.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else \
	    "gentrace needs Python 3.11 or newer, this is " + sys.version.split()[0] + \
	    "; name another: make PYTHON=python3.12 ...")'
	@echo "making $(VENV) with `$(PYTHON) --version`"
	@$(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || { $(PYTHON) -m venv --clear --without-pip $(VENV) \
	    && $(PYTHON) -m pip --python $(BIN)/python install --quiet -c constraints.txt pip; }

# pip of constraints.txt first: older ones know no --group.
$(FOR_DEMO): pyproject.toml constraints.txt constraints-host.txt hatch_build.py gentrace.pth gentrace.start | $(BIN)/python
	@echo "filling $(VENV) (once; a minute or two of downloads)"
	@$(PIP_INSTALL) pip
	@$(PIP_INSTALL) --build-constraint constraints.txt -e '.[cli]' --group examples
	@$(BIN)/python -m compileall -q gentrace  # pip does that for all but an editable install
	@touch $@

$(FOR_WORK): $(FOR_DEMO)
	@echo "adding what the tests and checks need to $(VENV)"
	@$(PIP_INSTALL) --group test --group check
	@touch $@
