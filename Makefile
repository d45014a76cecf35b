# Everything here works on a fresh clone with Python 3.11+ and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help venv demo up test check bench-export lock clean

help:
	@echo "make demo   start everything, run the tour, stay up until Ctrl-C"
	@echo "make up     start everything without the tour"
	@echo "make test   every test"
	@echo "make check  ruff, mypy --strict, import-linter"
	@echo "make bench-export  a reconciliation export of a million lines: memory and speed"
	@echo "make venv   only the virtual environment"
	@echo "make lock   resolve pyproject.toml again into the hash-locked requirements"

venv: $(STAMP)

$(STAMP): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "claimdesk needs Python 3.11 or newer; set PYTHON=... to name one")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: venv
	$(BIN)/claimdesk demo

up: venv
	$(BIN)/claimdesk up

test: venv
	$(BIN)/python -m pytest

check: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench-export: venv
	$(BIN)/python -m benchmarks.export

lock: venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --extra dev pyproject.toml -o requirements-dev.lock

clean:
	rm -rf $(VENV) .claimdesk build *.egg-info
