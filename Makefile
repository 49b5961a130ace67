# `make demo` and `make test` set up everything they need in $(VENV).
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PIP_INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check

WORKLOAD ?= dlrm-dcnv2
TOPOLOGY ?= dgx-h100

.PHONY: demo test lint schemas bench-solver bench-solver-quick clean

demo: $(VENV)/.installed
	@mkdir -p build/demo
	$(BIN)/shardplan solve $(WORKLOAD) --topology $(TOPOLOGY) --time-limit 20 -o build/demo/plan.json
	$(BIN)/shardplan check build/demo/plan.json
	$(BIN)/shardplan show build/demo/plan.json
	$(BIN)/shardplan simulate build/demo/plan.json --trace build/demo/trace.json
	@echo "Plan: build/demo/plan.json. Trace for https://ui.perfetto.dev: build/demo/trace.json"

test: $(VENV)/.installed-dev lint
	$(BIN)/python -m pytest -q

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy shardplan

schemas: $(VENV)/.installed
	$(BIN)/python -m shardplan.io.schema docs/schemas

bench-solver: $(VENV)/.installed-dev
	$(BIN)/python -m tests.benchmarks.bench_solver

bench-solver-quick: $(VENV)/.installed-dev
	$(BIN)/python -m tests.benchmarks.bench_solver --quick

clean:
	rm -rf $(VENV) build dist .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("shardplan needs Python 3.11 or newer") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(PIP_INSTALL) --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(VENV)/bin/python
	$(PIP_INSTALL) --editable '.[dev]'
	@touch $@ $(VENV)/.installed
