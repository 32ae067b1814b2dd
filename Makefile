# Every target sets up .venv by itself, from the lock; all it needs is Python 3.11 or newer and pip.

VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --no-compile --constraint requirements.lock

# The first Python that will do; `make PYTHON=/path/to/python` takes another.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& command -v $$python && break; done)

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help demo test engines lint format bench docs lock clean

help:  ## Tell what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 16

demo: $(VENV)/.core  ## Fit three autoencoders on digits and write a page about them (2 minutes)
	@$(BIN)/latente demo
	@echo; echo "The command is $(BIN)/latente; '. $(BIN)/activate' makes it plain latente."

test: $(VENV)/.all  ## Run the tests, with coverage
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --cov

engines: $(VENV)/.all  ## Run saved models inside Spark (which needs Java), Ray and Dask
	@$(INSTALL) "pyspark>=4.0" "ray[data]>=2.40"
	@$(BIN)/python -m pytest -o filterwarnings= tests/test_arrow.py

lint: $(VENV)/.all  ## Check style, format and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy --strict src

format: $(VENV)/.all  ## Put the code in its format
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

bench: $(VENV)/.all  ## Measure training speed against the peers, each in an environment of its own
	@$(BIN)/python benchmarks/training.py

docs: $(VENV)/.all  ## Build the documentation into site/
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "The documentation is in $(CURDIR)/site/index.html"

lock: $(VENV)/.core  ## Resolve the newest versions and write them to requirements.lock
	@$(BIN)/python tools/lock.py

clean:  ## Remove everything that these targets made, .venv included
	rm -rf $(VENV) .bench build demo dist site htmlcov .coverage .coverage.* .hypothesis \
		.mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The package and what it needs; with --no-compile, Python compiles what is used when it is used.
$(VENV)/.core: pyproject.toml requirements.lock
	@test -n "$(PYTHON)" || { echo "latente needs Python 3.11 or newer; none was found." >&2; exit 1; }
	@echo "Setting up $(VENV) with $(PYTHON); this happens once and takes some minutes." >&2
	@$(PYTHON) -m venv $(VENV)
	@$(INSTALL) hatchling editables
	@$(INSTALL) --no-build-isolation --editable .
	@touch $@

# All extras, and what tests, checks and builds the documentation.
$(VENV)/.all: $(VENV)/.core
	@$(INSTALL) --requirement requirements.lock
	@touch $@
