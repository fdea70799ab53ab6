# make run   installs what is needed and starts EVAA on its embedded defaults
# make test  installs what is needed and runs everything that CI runs
# make check the same as `make test`, without installing (in an environment that has the dependencies)

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
CHECK_BIN ?= $(if $(wildcard $(BIN)/python),$(BIN)/,)

.PHONY: run test check install bench clean

run: $(VENV)/.installed
	$(BIN)/python run.py

test: $(VENV)/.installed
	$(MAKE) check CHECK_BIN=$(BIN)/

check:
	$(CHECK_BIN)python -m ruff check .
	$(CHECK_BIN)python -m ruff format --check .
	$(CHECK_BIN)python -m mypy
	$(CHECK_BIN)python -m pytest

bench: $(VENV)/.installed
	$(BIN)/python -m benchmarks.turns
	$(BIN)/python -m benchmarks.audio

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("EVAA needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
