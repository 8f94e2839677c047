# dojang from a clean clone: needs Python 3.11 or newer and make, nothing else.
#   make demo                      train on 1,797 handwritten digits
#   make demo PYTHON=python3.12    with a Python of your choice
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.DELETE_ON_ERROR:
# two pips in one environment would trip over each other
.NOTPARALLEL:
.PHONY: help demo test check

help:
	@echo "make demo   install dojang into .venv and train on 1,797 handwritten digits"
	@echo "make test   install what developers need, run the tests"
	@echo "make check  ruff (rules and format) and mypy"

demo: .venv/.demo
	$(BIN)/dojang train digits

# side by side, each with one thread: several that take all cores wait for each other
test: .venv/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto

check: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# pip is made last: an environment without it (no ensurepip, or stopped half-way) is completed
$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "dojang needs Python 3.11 or newer; '$(PYTHON)' is: $$($(PYTHON) --version 2>&1)." >&2; \
	  echo "  Fix: make $(or $(MAKECMDGOALS),demo) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { \
	  echo "'$(PYTHON)' cannot make a virtual environment." >&2; \
	  echo "  Fix: on Debian and Ubuntu, sudo apt install python3-venv" >&2; exit 1; }

.venv/.demo: pyproject.toml | $(BIN)/pip
	@echo "Installing dojang into .venv; PyTorch is large, so the first time takes minutes."
	@$(PIP) install --editable .
	@touch $@

# what developers install holds what the demo needs
.venv/.dev: pyproject.toml | $(BIN)/pip
	@echo "Installing dojang and its developer tools into .venv; PyTorch is large, so the first time takes minutes."
	@$(PIP) install --editable '.[dev]'
	@touch $@ .venv/.demo
