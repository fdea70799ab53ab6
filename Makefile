# make run   installs what is needed and starts EVAA on its embedded defaults
# make test  installs what is needed, a MongoDB server for the tests among it, and runs everything that CI runs
# make check the same as `make test`, without installing (in an environment that has the dependencies)

PYTHON ?= python3
VENV ?= .venv
MONGODB_PYTHON ?= $(PYTHON)
MONGODB_VENV = .venv-mongodb
BIN = $(VENV)/bin
CHECK_BIN ?= $(if $(wildcard $(BIN)/python),$(BIN)/,)

.PHONY: run test check install bench clean

run: $(VENV)/.installed
	$(BIN)/python run.py

test: $(VENV)/.installed $(MONGODB_VENV)/.installed
	$(MAKE) check CHECK_BIN=$(BIN)/

check:
	$(CHECK_BIN)python -m ruff check .
	$(CHECK_BIN)python -m ruff format --check .
	$(CHECK_BIN)python -m mypy
	$(CHECK_BIN)python -m pytest

bench: $(VENV)/.installed
	$(BIN)/python -m benchmarks.turns
	$(BIN)/python -m benchmarks.audio
	$(BIN)/python -m benchmarks.storage
	$(BIN)/python -m benchmarks.documents

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("EVAA needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

# A test tool, in an environment of its own: nothing of it is imported or shipped (see tests/mongodb/requirements.txt).
$(MONGODB_VENV)/.installed: tests/mongodb/requirements.txt
	@if $(MONGODB_PYTHON) -c 'import sys; sys.exit(sys.version_info >= (3, 14))'; then \
	  set -ex; \
	  $(MONGODB_PYTHON) -m venv $(MONGODB_VENV); \
	  $(MONGODB_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --only-binary :all: -r $<; \
	  touch $@; \
	else \
	  echo 'SecantusDB is not there for this Python, so tests on a MongoDB server are skipped;' \
	    'with another: make test MONGODB_PYTHON=python3.13'; \
	fi

clean:
	rm -rf $(VENV) $(MONGODB_VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
