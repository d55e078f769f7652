# Every target sets up what it needs; nothing but Python 3.11+ and make has to be there.
#   make run VIEWER_ARGS="..."    open the viewer
#   make test PYTEST_ARGS="..."   every check, stopping at the first that fails
#   make format                   rewrite the code in house style
#   make PYTHON=python3.12 ...    build .venv with that Python

PYTHON ?= python3
VIEWER_ARGS ?=
PYTEST_ARGS ?=

BIN := .venv/bin
# Stamps live in .venv, so that removing it removes them too.
RUNTIME := .venv/.installed-runtime
TOOLS := .venv/.installed-tools
PIP_INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --quiet

.PHONY: run test setup format clean
# The checks of `test` belong in order, and two pips must not write to one environment.
.NOTPARALLEL:
# An environment whose making was cut short is made again.
.DELETE_ON_ERROR:

run: $(RUNTIME)
	$(BIN)/python -m viewer $(VIEWER_ARGS)

# The first line turns a missing system library into a sentence; pytest-qt would show a traceback.
test: export QT_QPA_PLATFORM := offscreen
test: $(TOOLS)
	$(BIN)/python -m viewer.system_check
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m pytest $(PYTEST_ARGS)

setup: $(TOOLS)

format: $(TOOLS)
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { \
	  echo "There is no '$(PYTHON)' here. Install Python 3.11 or newer, or name it: make PYTHON=python3.12" >&2; \
	  exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "$$($(PYTHON) --version 2>&1) is too old: Python 3.11 or newer is needed. Install one and name it: make PYTHON=python3.12" >&2; \
	  exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) has no venv module. On Debian or Ubuntu: sudo apt-get install python3-venv" >&2; \
	  exit 1; }
	$(PYTHON) -m venv --clear .venv

$(RUNTIME): requirements.txt | $(BIN)/python
	@echo "Installing requirements.txt (the first time this takes some minutes) ..."
	$(PIP_INSTALL) -r requirements.txt
	@touch $@

$(TOOLS): tests/requirements.txt $(RUNTIME)
	$(PIP_INSTALL) -r tests/requirements.txt
	@touch $@
