# Everything that a fresh machine with Python >= 3.11 (with venv), make and git needs.
PYTHON ?= python3
JOBS ?= 2
VENV ?= .venv
BIN := $(VENV)/bin
export DAGSTER_DISABLE_TELEMETRY := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo ui test test-slow chaos bench bench-missing bench-smallest lint install install-dev install-bench clean

help:
	@echo "make demo   run the whole pipeline against the embedded server"
	@echo "make ui     open Dagster's UI on the same data (http://127.0.0.1:3000)"
	@echo "make test   run the quick tests"
	@echo "make test-slow   run the others: the slow ones, and more cases of the same"
	@echo "make chaos  faults and kills by the thousand, and half an hour's soak (two hours)"
	@echo "make bench  races against dlt and the bare loop, into docs/performance.md (hours)"
	@echo "make bench-missing   of that, only what docs/performance.json does not have yet"
	@echo "make bench-smallest   the same at the smallest size, which writes no page"
	@echo "make lint   formatting, lint, types and import rules"

demo: install
	$(BIN)/history-pipeline demo

ui: install
	$(BIN)/history-pipeline ui

test: install-dev
	$(BIN)/python -m pytest -q -m "not slow" -n $(JOBS) --dist loadfile

test-slow: install-dev
	$(BIN)/python -m pytest -q -m slow -n $(JOBS) --dist loadfile

chaos: install-dev
	$(BIN)/python -m history_pipeline_tests.chaos --count 11500 --workers $(JOBS)
	$(BIN)/python -m history_pipeline_tests.chaos --count 300 --workers $(JOBS) --lake
	$(BIN)/python -m history_pipeline_tests.crashes --count 180
	$(BIN)/python -m history_pipeline_tests.crashes --count 20 --workers 2 --command
	$(BIN)/python -m history_pipeline_tests.crashes.restart
	$(BIN)/python -m history_pipeline_tests.readers
	$(BIN)/python -m history_pipeline_tests.soak

bench: install-bench
	$(BIN)/python -m history_pipeline_tests.benchmarks

bench-missing: install-bench
	$(BIN)/python -m history_pipeline_tests.benchmarks --missing

bench-smallest: install-bench
	$(BIN)/python -m history_pipeline_tests.benchmarks --size smallest --no-page

lint: install-dev
	$(BIN)/ruff format --check history_pipeline history_pipeline_tests
	$(BIN)/ruff check history_pipeline history_pipeline_tests
	$(BIN)/mypy
	$(BIN)/lint-imports

install: $(VENV)/.installed
install-dev: $(VENV)/.installed-dev
install-bench: $(VENV)/.installed-bench

$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

$(VENV)/.installed-bench: $(VENV)/.installed-dev
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[bench]'
	@touch $@

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
