# make run    the service, a local Infobip and a Redis, all on this machine
# make test   linters, types and tests
# make soak   the tests under faults in their long form, under half an hour; SOAK=0.01 makes it a hundredth of that
# make simulate   a launch day and an attack, and what the guard does: a table and a picture
# make dashboard   three minutes of a real service, seen by a real Prometheus: the picture of the dashboard

PYTHON ?= python3
BIN := .venv/bin
NEWMAN := 6.2.2

.PHONY: run test soak simulate dashboard clean

run: .venv/run.stamp
	@exec $(BIN)/python -m sandbox

test: .venv/test.stamp .venv/newman-$(NEWMAN).stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest
	$(BIN)/coverage combine -q
	$(BIN)/coverage report

soak: export SOAK ?= 1
soak: .venv/test.stamp
	$(BIN)/python -m tests.faults.soak
	$(BIN)/python -m pytest tests/faults/test_model.py tests/faults/test_fuzz_border.py tests/faults/test_fuzz_phone.py

simulate: .venv/test.stamp .venv/pictures.stamp
	$(BIN)/python -m tests.simulate

dashboard: .venv/test.stamp .venv/pictures.stamp
	$(BIN)/python -m tests.dashboard

clean:
	rm -rf .venv

.venv/run.stamp: requirements.txt sandbox/requirements.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r sandbox/requirements.txt
	@touch $@

.venv/test.stamp: requirements.txt sandbox/requirements.txt requirements-dev.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

.venv/pictures.stamp: docs/requirements.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r docs/requirements.txt
	@touch $@

# It runs the Postman collection. Where there is no npm, the tests that need it are skipped and say so.
.venv/newman-$(NEWMAN).stamp: | .venv/bin/python
	@if command -v npm >/dev/null; then \
		npm install --prefix .venv/npm --no-save --no-package-lock --no-audit --no-fund --ignore-scripts \
			--loglevel=error newman@$(NEWMAN) && touch $@; fi

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; point to one with: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "Python's venv module is missing; on Debian and Ubuntu: sudo apt install python3-venv" >&2; exit 1; }
	@echo "Making .venv and installing what is needed (about half a minute, once)"
	@$(PYTHON) -m venv .venv
