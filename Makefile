# Each target makes what it needs: a fresh machine with Python 3.11+ and make is enough.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test nightly lint bench format clean

demo: $(VENV)/core
	$(BIN)/torchstone run corresponding-layers

test: lint
	$(BIN)/pytest -n 2 --dist worksteal

nightly: $(VENV)/dev # 200 kills at random moments, five minutes
	TORCHSTONE_NIGHTLY=1 $(BIN)/pytest -n 2 --dist worksteal tests/lab/test_kills.py

lint: $(VENV)/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/peers
	for file in benchmarks/bench_*.py; do $(BIN)/python $$file || exit 1; done

format: $(VENV)/dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(VENV)/made: # the marker of a finished virtual environment
	$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Torchstone needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/core: $(VENV)/made pyproject.toml constraints.txt
	$(PIP) -e .
	touch $@

$(VENV)/dev: $(VENV)/core
	$(PIP) -e '.[dev]'
	touch $@

$(VENV)/peers: $(VENV)/core
	$(PIP) -e '.[peers]'
	touch $@

clean:
	rm -rf $(VENV)
