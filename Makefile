# `make demo` and `make test` set everything up on a fresh machine, then run.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test test-slow docs lint format clean

# On all cores, four at most; a thread each, since one is faster than two where cores are shared.
PYTEST := HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest \
  --numprocesses auto --maxprocesses 4 --dist worksteal

demo: $(STAMP)
	$(BIN)/fabricbo demo

test: $(STAMP) chromium postgres loggers
	$(PYTEST) -m "not slow" $(PYTEST_ARGS)

# What takes minutes: 200 trials through 40 kills of workers, KILLS of the rating server, a driver
# that stands still for a minute, SEQUENCES random orders of calls against a model.
SEQUENCES ?= 2000
KILLS ?= 100
test-slow: $(STAMP) postgres
	FABRICBO_SEQUENCES=$(SEQUENCES) FABRICBO_KILLS=$(KILLS) $(PYTEST) -m slow $(PYTEST_ARGS)

# The documentation, to site/; a warning is an error. Material's note on MkDocs 2 is none of ours.
docs: $(STAMP)
	HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# The constraints pin what the ranges in pyproject.toml leave open. torch comes first: asked for
# by name and version, so that no other package's wish decides which build is taken.
$(STAMP): pyproject.toml constraints.txt
	@echo "installing PyTorch and the rest into $(VENV), about 3 GB: some minutes in which nothing is printed"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet "$$(grep '^torch==' constraints.txt)"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $(STAMP)

# The browser tests need a browser, those of PostgreSQL its server; where one cannot be installed
# its tests are skipped and say so.
.PHONY: chromium postgres
chromium:
	@command -v chromium >/dev/null || sh .ci/install-package chromium || \
	  echo "no chromium: the browser tests are left out; install it and run 'make test' again"

postgres:
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null || \
	  sh .ci/install-package postgresql || \
	  echo "no PostgreSQL: its tests are left out; install it and run 'make test' again"

# Loggers whose libraries want older versions of what we use: an environment on top of ours, which
# only their tests use.
LOGGERS := .venv-loggers
.PHONY: loggers
loggers: $(STAMP)
	@test -f $(LOGGERS)/.installed -a $(LOGGERS)/.installed -nt $(STAMP) || sh .ci/install-loggers $(BIN) $(LOGGERS) || \
	  echo "no MLflow, no trackio: their tests are left out; 'make test' tries again"

# Sdist and wheel in dist/, checked; the demo runs from the wheel, where the sources are not.
.PHONY: release schemas
release:
	sh .ci/release $(PYTHON)

# The JSON Schemas of what commands print with --json.
schemas: $(STAMP)
	$(BIN)/python -m fabricbo.cli.schemas docs/schemas

clean:
	rm -rf $(VENV) $(LOGGERS) dist build site
