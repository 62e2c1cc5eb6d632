# intake: everything a newcomer, a developer and the build server need. `make help` lists it.

SHELL := /bin/sh
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
# Which interpreter the environment is made with: PYTHON=/path/to/python3.12 make run
PYTHON ?=
# Arguments for pytest: make quick ARGS="-k backoff"
ARGS ?=
# DEPS=no leaves the system's packages alone.
DEPS ?= yes
JOBS ?= 2
# How many mails `make fuzz` tries, and which: the same seed gives the same ones.
COUNT ?= 100000
SEED ?= 1

RUN_STAMP := $(VENV)/.ready-to-run
DEV_STAMP := $(VENV)/.ready-to-develop
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
INSTALL_CHECKOUT := $(PIP) install --no-deps --no-build-isolation --editable .

.PHONY: help run test quick lint format bench fuzz lock debs clean

help:  ## show this list
	@echo "intake: mail, chat and telephone in; answered from the mail client you already use."
	@echo
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

run: $(RUN_STAMP)  ## start the daemon with its playground on this machine
	@exec $(BIN)/intake run --demo

test: debs $(DEV_STAMP)  ## set everything up, then every check and every test
	@$(MAKE) --no-print-directory lint
	$(BIN)/python -m pytest -n $(JOBS) $(ARGS)

quick: $(DEV_STAMP)  ## the tests that start no server: seconds
	$(BIN)/python -m pytest -n $(JOBS) -m "not system" $(ARGS)

lint: $(DEV_STAMP)  ## ruff, mypy and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(DEV_STAMP)  ## put the sources into the house's form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(DEV_STAMP)  ## how many messages a second this machine takes in
	$(BIN)/python -m benchmarks $(ARGS)

fuzz: $(DEV_STAMP)  ## a hundred thousand damaged mails (COUNT=, SEED=)
	$(BIN)/python -m benchmarks.fuzz --count $(COUNT) --seed $(SEED) $(ARGS)

debs:
	@if [ "$(DEPS)" = yes ]; then sh .ci/debs; fi

# Hashes for every platform, no addresses: where the files come from is the installing machine's business.
#   requirements.lock       `make run`: the daemon and its playground
#   requirements-core.lock  a server: the daemon alone, in the same versions
#   requirements-dev.lock   the tests and everything else
UV ?= uv
LOCK := $(UV) pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --custom-compile-command "make lock" --quiet

lock:  ## pin every dependency with its hashes (needs uv)
	@command -v $(UV) >/dev/null || { echo "make lock needs uv: put it on the PATH, or name it: make lock UV=/path/to/uv" >&2; exit 1; }
	$(LOCK) --extra demo --extra lmtp --extra postgres --extra build --output-file requirements.lock
	$(LOCK) --extra lmtp --extra postgres --extra build --constraint requirements.lock --output-file requirements-core.lock
	$(LOCK) --all-extras --constraint requirements.lock --output-file requirements-dev.lock

clean:  ## remove the environment and the caches; var/, the desk's memory, stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The lock decides what is in the environment; a stamp remembers that it is there.
$(RUN_STAMP): requirements.lock pyproject.toml | $(BIN)/python
	@echo "Installing what the daemon needs (once; about a minute) …"
	@$(PIP) install --require-hashes --requirement requirements.lock
	@$(INSTALL_CHECKOUT)
	@touch $@

$(DEV_STAMP): requirements-dev.lock requirements.lock pyproject.toml | $(BIN)/python
	@echo "Installing what developing needs (once; about two minutes) …"
	@$(PIP) install --require-hashes --requirement requirements-dev.lock
	@$(INSTALL_CHECKOUT)
	@touch $(RUN_STAMP) $@

$(BIN)/python:
	@PYTHON="$(PYTHON)" sh .ci/venv $(VENV)
