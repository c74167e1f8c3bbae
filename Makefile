PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= auto
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup demo test test-fast test-faults lint format bench bench-import docs lock clean
.DEFAULT_GOAL := help

help: ## what each target does
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.installed ## .venv with every extra and the development tools

$(VENV)/.installed: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("aragora_db needs Python 3.11 or newer: make PYTHON=python3.12 setup" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup ## migrate .nomic/aragora.db, then play a tournament in .nomic/demo.db
	env -i PATH="$$PATH" HOME="$$HOME" $(BIN)/alembic upgrade head # no DATABASE_URL: the demo never meets real data
	$(BIN)/aragora-db demo

# worksteal: each worker begins with a half of the folders, so that few module-wide servers are started twice
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

test: setup ## every test, on SQLite and on a PostgreSQL and a Redis of its own
	$(PYTEST) --durations=20 $(ARGS)

test-fast: setup ## the tests that take no more than a few seconds each, on the two sync drivers
	$(PYTEST) -m 'not slow and not faults' --engine pysqlite --engine psycopg $(ARGS)

test-faults: setup ## the long forms: many examples, many processes; ten minutes
	$(PYTEST) -m faults --durations=20 $(ARGS)

lint: setup ## ruff, mypy, pyright, the import rules of the rooms, and every file of deploy/ by its own validator
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/python scripts/check_deploy.py

format: setup ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup ## the figures of benchmarks/, written to benchmarks/results/
	$(BIN)/python benchmarks/run.py $(ARGS)

bench-import: setup ## the import against \copy, pgloader and executemany; ten minutes, 8 GB of disk
	$(BIN)/python benchmarks/run.py import import_memory $(ARGS)

docs: setup ## regenerate docs/reference from the models
	$(BIN)/python scripts/generate_schema_docs.py

lock: setup ## resolve requirements.lock again
	$(BIN)/python scripts/lock.py

clean: ## remove .venv and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
