# Two commands matter: `make serve` and `make test`. Everything below needs Python 3.11 or newer, and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK = 1

DSA110_HOST ?= 127.0.0.1
DSA110_PORT ?= 8000
DEMO ?= demo-data

.PHONY: help install serve test lint audit bench soak openapi clean

help: ## Show the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo 'Python 3.11 or newer is needed; name one with: make PYTHON=python3.12'; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(BIN)/python setup.cfg constraints.txt
	$(BIN)/python -m pip install -q -c constraints.txt -e .
	@touch $@

$(VENV)/installed-test: $(VENV)/installed
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[test]'
	@touch $@

install: $(VENV)/installed ## Make .venv and install the service

serve: $(VENV)/installed ## Make the demo survey once and serve it with gunicorn
	@$(BIN)/contimg-api demo $(DEMO) --if-missing >/dev/null
	@DSA110_HOST=$(DSA110_HOST) DSA110_PORT=$(DSA110_PORT) $(BIN)/contimg-api serve $(DEMO)

test: $(VENV)/installed-test ## Run the whole suite, three processes side by side: many tests wait
	@$(BIN)/python -m pytest -n 3 --dist loadfile

lint: $(VENV)/installed-test ## Check style, types and the import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

audit: ## Look every pinned package up among the known vulnerabilities; fails where one cannot be looked up
	@test -x $(VENV)/audit/bin/pip-audit || $(PYTHON) -m venv $(VENV)/audit
	@$(VENV)/audit/bin/python -m pip install -q 'pip-audit>=2.10,<3'
	@$(VENV)/audit/bin/pip-audit -r constraints.txt --no-deps --disable-pip --strict --progress-spinner off

bench: $(VENV)/installed-test ## Measure against a bare WSGI callable and a bare Flask route
	@$(BIN)/python -m tests.benchmarks

soak: $(VENV)/installed-test ## The longer runs: 500 jobs on each store, 10,000 cones, every fault and attack, the full benchmark (about two hours)
	@CONTIMG_TEST_JOBS=500 CONTIMG_TEST_CONES=10000 CONTIMG_TEST_FAULT_S=60 $(BIN)/python -m pytest tests/queue tests/live tests/repositories tests/api
	@rm -f build/reliability.jsonl; mkdir -p build
	@CONTIMG_TEST_FAULT_S=60 CONTIMG_RELIABILITY_LOG=build/reliability.jsonl $(BIN)/python -m pytest tests/faults tests/security
	@$(BIN)/python -m tests.support.reliability build/reliability.jsonl
	@$(BIN)/python -m tests.benchmarks --full

openapi: $(VENV)/installed-test ## Write the OpenAPI document's snapshot anew
	@$(BIN)/python -m tests.contract.snapshot

clean: ## Remove what the targets above made
	rm -rf $(VENV) $(DEMO) build *.egg-info
