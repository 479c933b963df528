# `make help` lists the commands. Each sets up what it needs, on a machine with Python 3.11+.

VENV := .venv
PY := $(VENV)/bin/python
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

.DEFAULT_GOAL := help
.PHONY: help run test check bench soak format

help:  ## list these commands
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

run: $(VENV)/.ready  ## serve the dashboard at http://localhost:8501
	$(VENV)/bin/streamlit run dashboard.py

test: $(VENV)/.ready-dev  ## run all tests; installs a browser when there is none
	$(PY) -m tests.browser
	$(PY) -m pytest -n 2 --dist loadfile

check: $(VENV)/.ready-dev  ## what CI runs: lint, types, the import rule, the tests
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy dashboard.py pages core tests/simulators tests/browser.py benchmarks
	$(VENV)/bin/lint-imports
	$(MAKE) test

bench: $(VENV)/.ready-dev  ## measure, and print the table of figures
	$(PY) -m tests.browser
	$(PY) -m benchmarks

soak: $(VENV)/.ready-dev  ## kill a busy server 500 times and count what is lost; takes 40 minutes
	$(PY) -m tests.proof.soak --kills 500

format: $(VENV)/.ready-dev  ## put the code into the project's form
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Capista needs Python 3.11 or newer."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.ready: requirements.txt | $(VENV)/bin/python
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

$(VENV)/.ready-dev: requirements-dev.txt $(VENV)/.ready | $(VENV)/bin/python
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@
