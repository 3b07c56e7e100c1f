# `make help` says what there is, from the words behind ## here.

PYTHON ?= python3
# A folder for each Python: make test PYTHON=python3.13 VENV=.venv-3.13
VENV := .venv
BIN := $(VENV)/bin
INSTALL := requirements/install.sh $(BIN)
# The tests start hundreds of processes: without bytecode each of them would compile the service again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run login test test-all coverage lint soak simulate dashboard docs lock upgrade audit sbom clean help

run: $(VENV)/run.stamp ## the service, a local Infobip and a Redis, all on this machine
	@exec $(BIN)/python -m sandbox

login: $(VENV)/login.stamp ## the website in examples/login, which needs `make run` in another terminal
	@exec $(BIN)/flask --app examples/login/login run --host localhost --port 8080

test: lint $(VENV)/npm.stamp $(VENV)/sdk.stamp ## linters, types and tests: two minutes
	$(BIN)/python -m pytest -m "not long"

test-all: lint $(VENV)/npm.stamp $(VENV)/sdk.stamp ## the same, with faults, races and a browser: seven minutes
	$(BIN)/python -m pytest

coverage: lint $(VENV)/npm.stamp $(VENV)/sdk.stamp ## all of them, and which lines they run, as in CI: twenty minutes
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n 3  # the tracer slows every process, and some promise something within two seconds
	$(BIN)/coverage combine -q
	$(BIN)/coverage report

lint: $(VENV)/test.stamp ## linters, types and the rule of imports alone
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo --no-cache

soak: export SOAK ?= 1
soak: $(VENV)/test.stamp ## the tests under faults in their long form, under half an hour; SOAK=0.01 is a hundredth of it
	$(BIN)/python -m tools.soak
	$(BIN)/python -m pytest tests/faults/test_model.py tests/faults/test_fuzz_border.py tests/faults/test_fuzz_phone.py

simulate: $(VENV)/test.stamp $(VENV)/pictures.stamp ## a launch day and an attack, and what the guard does: a table and a picture
	$(BIN)/python -m tools.simulate

dashboard: $(VENV)/test.stamp $(VENV)/pictures.stamp ## three minutes of a real service, seen by a real Prometheus: the picture of the dashboard
	$(BIN)/python -m tools.dashboard

docs: $(VENV)/test.stamp ## .env.example and the tables of docs/settings.md, from config.py and docs/settings.toml
	$(BIN)/python -m tools.settings_pages

lock: $(VENV)/tools.stamp ## write the requirements files from pyproject.toml, with hashes; versions stay where they may
	$(LOCK) $(LOCK_OPTIONS) -o requirements.txt
	$(LOCK) $(LOCK_OPTIONS) -c requirements.txt --group otel -o requirements/otel.txt
	$(LOCK) $(LOCK_OPTIONS) -c requirements.txt --group sandbox -o requirements/sandbox.txt
	$(COMPILE) $(LOCK_OPTIONS) -c requirements.txt --group login -o requirements/login.txt
	$(LOCK) $(LOCK_OPTIONS) -c requirements.txt --group dev -o requirements/dev.txt
	$(LOCK) $(LOCK_OPTIONS) -c requirements/dev.txt --group docs -o requirements/docs.txt
	$(LOCK) $(LOCK_OPTIONS) -c requirements/dev.txt --group tools -o requirements/tools.txt
	$(COMPILE) $(LOCK_OPTIONS) tests/sdk/requirements.in --override tests/sdk/overrides.txt -o tests/sdk/requirements.txt

upgrade: ## the same with the newest version of everything
	$(MAKE) lock LOCK_OPTIONS=--upgrade

audit: $(VENV)/test.stamp $(VENV)/tools.stamp ## known vulnerabilities in what the service runs with
	@$(BIN)/python -m tools.audit

sbom: $(VENV)/tools.stamp ## sbom.json: what the service runs with, as CycloneDX
	@$(BIN)/python -m venv --clear --without-pip $(VENV)/shipped
	@$(INSTALL) $(VENV)/shipped/bin/python requirements.txt
	@$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --mc-type application --output-reproducible \
		--output-file sbom.json $(VENV)/shipped/bin/python

clean: ## take away what was installed
	rm -rf $(VENV)

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --universal: one file for every system and every Python from 3.11 on.
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command "make lock"
LOCK := $(COMPILE) pyproject.toml

$(VENV)/run.stamp: requirements/sandbox.txt
$(VENV)/login.stamp: requirements/login.txt
$(VENV)/test.stamp: requirements/dev.txt
$(VENV)/pictures.stamp: requirements/docs.txt
$(VENV)/tools.stamp: requirements/tools.txt

$(VENV)/run.stamp $(VENV)/login.stamp $(VENV)/test.stamp $(VENV)/pictures.stamp $(VENV)/tools.stamp: | $(VENV)/bin/python
	$(INSTALL) $(BIN)/python $<
	@touch $@

# The tests need these two here and there. Those that do are skipped, and say so, where there is no npm, and where npm or pip
# cannot install: offline, or behind a proxy that they do not know.
$(VENV)/npm.stamp: tests/npm/package-lock.json | $(VENV)/bin/python
	@if command -v npm >/dev/null; then \
		mkdir -p $(VENV)/npm && cp tests/npm/*.json $(VENV)/npm && \
		npm ci --prefix $(VENV)/npm --no-audit --no-fund --ignore-scripts --loglevel=error --fetch-retries=1 && touch $@ || \
		{ rm -rf $(VENV)/npm; echo "npm cannot install $<: the tests that need it are skipped" >&2; }; fi

$(VENV)/sdk.stamp: tests/sdk/requirements.txt | $(VENV)/bin/python
	@$(BIN)/python -m venv --clear --without-pip $(VENV)/sdk
	@$(INSTALL) $(VENV)/sdk/bin/python $< --no-deps && touch $@ || \
		{ rm -rf $(VENV)/sdk; echo "$< cannot be installed: the tests that need it are skipped" >&2; }

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; point to one with: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "Python's venv module is missing; on Debian and Ubuntu: sudo apt install python3-venv" >&2; exit 1; }
	@echo "Making $(VENV) and installing what is needed (ten seconds, once)"
	@$(PYTHON) -m venv --without-pip $(VENV)
