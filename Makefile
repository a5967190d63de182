# numa-extender: `make run` shows it, `make test` proves it with Python alone, `make test-kubernetes` against real Kubernetes code.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: venv run test test-kubernetes lint format bench clean

venv: $(STAMP)

$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable '.[extender,exporter]' --group dev
	touch $(STAMP)

## The extender on the sample inventory, no cluster needed.
run: venv
	$(BIN)/numa-extender demo

## Every test that needs only Python.
test: venv
	$(BIN)/python -m pytest -n 2

lint: venv
	$(BIN)/ruff check extender tests
	$(BIN)/ruff format --check extender tests
	$(BIN)/mypy
	$(BIN)/lint-imports

format: venv
	$(BIN)/ruff format extender tests
	$(BIN)/ruff check --fix extender tests

clean:
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis htmlcov
