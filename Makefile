# Every target sets up what it needs; nothing but Python 3.11+ and make has to be there.
#   make run VIEWER_ARGS="..."    open the viewer
#   make test PYTEST_ARGS="..."   every check, stopping at the first that fails
#   make test-fast                the tests that are not marked slow, two at a time
#   make test-avx2                what depends on the processor, as an older one sees it
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

# What an x86 processor without 8-bit dot products, bf16 and AVX-512 would take: our own code by
# R2L_CPU_LEVEL (see r2l_core/engines/processor.py), libraries by variables of their own.
AVX2_ONLY := R2L_CPU_LEVEL=avx2 ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 \
  MKL_ENABLE_INSTRUCTIONS=AVX2 OPENBLAS_CORETYPE=Haswell
PROCESSOR_TESTS := tests/core/fused/test_fused_engine.py tests/viewer/test_stress.py \
  $(addprefix tests/core/test_,$(addsuffix .py,processor engines engine_choice int8_engines \
  integer_probe onnx_export saturation))

.PHONY: run test test-fast test-avx2 setup format clean
# The checks of `test` belong in order, and two pips must not write to one environment.
.NOTPARALLEL:
# An environment whose making was cut short is made again.
.DELETE_ON_ERROR:

run: $(RUNTIME)
	$(BIN)/python -m viewer $(VIEWER_ARGS)

# The first line turns a missing system library into a sentence; pytest-qt would show a traceback.
test test-fast: export QT_QPA_PLATFORM := offscreen
test: $(TOOLS)
	$(BIN)/python -m viewer.system_check
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m pytest $(PYTEST_ARGS)
	@if [ "$$(uname -m)" = x86_64 ]; then $(MAKE) --no-print-directory test-avx2 PYTEST_ARGS=; fi

test-avx2: export QT_QPA_PLATFORM := offscreen
test-avx2: $(TOOLS)
	@echo "What depends on the processor, pretending that this one has no more than AVX2:"
	$(AVX2_ONLY) $(BIN)/python -m pytest $(PROCESSOR_TESTS) $(PYTEST_ARGS)

# Both processes have to name tests alike, also those that are named after sets.
test-fast: export PYTHONHASHSEED := 0
test-fast: $(TOOLS)
	$(BIN)/python -m pytest -m "not slow" -n 2 $(PYTEST_ARGS)

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
