# Everything runs from .venv, which `setup` makes. A fresh machine needs Python 3.11+ and make.

PYTHON ?= $(firstword $(foreach p,python3.13 python3.12 python3.11 python3 python,$(if $(shell $(p) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo yes),$(p))))
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp
EXTRAS ?= dev,embedded,telegram
PACKAGES := navbat console bots trackers vision router storage crm
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup run demo test soak check lint types contracts format bench docs clean

help:  ## what can be made
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

setup: $(STAMP)  ## makes .venv with everything that the other targets need

$(STAMP): pyproject.toml
	@test -n "$(PYTHON)" || { echo "navbat needs Python 3.11 or newer (with venv) on PATH" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$(EXTRAS)]'
	@touch $@

run: setup  ## the desk of ./config.yaml in the foreground
	@exec $(BIN)/navbat run

demo: setup  ## a desk with simulated customers, and you at the console
	@exec $(BIN)/navbat demo

test: setup  ## the test suite; ARGS are passed to pytest
	$(BIN)/python -m pytest -n 4 --dist loadfile -m "not soak" $(ARGS)

soak: setup  ## what takes minutes: failovers under load, random typing at two consoles
	$(BIN)/python -m pytest -n 2 --dist load -m soak $(ARGS)

check: lint types contracts test  ## everything that CI runs on every change

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: setup
	$(BIN)/mypy

contracts: setup
	$(BIN)/lint-imports

format: setup  ## formats and repairs what can be repaired
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup  ## all benchmarks, or NAMES="route latency"; COMPARE=results/baseline.json, REPEAT=3
	@exec $(BIN)/python -m benchmarks $(NAMES) $(if $(COMPARE),--compare '$(COMPARE)') $(if $(REPEAT),--repeat $(REPEAT))

docs: setup  ## writes the generated pages of docs/ anew
	$(BIN)/python -m navbat.cli.reference

clean:  ## removes .venv and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
