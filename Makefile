# `make demo` and `make test` set everything up by themselves; `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
LOWEST := .venv-lowest
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
EXTRAS := embedded,notebooks,docs,test,dev
OUT ?= results/demo
BUDGET ?= small
JOBS ?= 2
SYSTEMS := predictor generator predgen
TRAINED = $(OUT)-systems

ifneq ($(shell command -v uv 2>/dev/null),)
MKVENV = uv venv -q --allow-existing --python "$(PYTHON)" $(VENV)
INSTALL = .ci/uv-install "$(PYTHON)" -q --python $(BIN)/python
else
MKVENV = "$(PYTHON)" -m venv $(VENV)
INSTALL = $(BIN)/python -m pip install -q --disable-pip-version-check
endif

.PHONY: help setup demo demo-figures figures paper paper-figures notebooks docs bench bench-calibration bench-speed test test-slow test-lowest constraints check clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-18s %s\n", $$1, $$2}' Makefile

setup: $(STAMP)  ## create .venv with the package, the tools and the embedded models

$(STAMP): setup.cfg constraints.txt requirements-embedded.txt Makefile
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 10) and "mi_probe needs Python >= 3.10, this is %d.%d; name another: make PYTHON=python3.12" % sys.version_info[:2])'
	$(MKVENV)
	$(INSTALL) -e ".[$(EXTRAS)]" -c constraints.txt
	$(INSTALL) --no-deps --require-hashes -r requirements-embedded.txt
	@touch $@

demo: $(STAMP)  ## train the three systems, measure them and a model as it is, draw the figures
	for system in $(SYSTEMS); do $(BIN)/python -m mi_probe.train --config demo/systems.yaml \
	--objective $$system --out "$(TRAINED)/$$system" || exit; done
	$(BIN)/python -m mi_probe.estimate $(SYSTEMS:%="$(TRAINED)/%") --config demo/systems-measured.yaml --out "$(OUT)"
	$(BIN)/python -m mi_probe.estimate --config demo/smollm2.yaml --out "$(OUT)"
	$(BIN)/python -m mi_probe.figures "$(OUT)" --out figures/demo

demo-figures: demo  ## every kind of figure, in figures/demo: an encoder, steps, gaps, tokens, a critic
	$(BIN)/python -m mi_probe.estimate $(SYSTEMS:%="$(TRAINED)/%") --config demo/systems-measured.yaml --series --out "$(OUT)"
	$(BIN)/python -m mi_probe.estimate --config demo/minilm.yaml --out "$(OUT)"
	$(BIN)/python -m mi_probe.gap --config demo/gap.yaml --out "$(OUT)"
	$(BIN)/python -m mi_probe.tokens --config demo/tokens.yaml --out "$(OUT)"
	$(BIN)/python -m mi_probe.tokens "$(TRAINED)/predgen" --sites final_norm --out "$(OUT)"
	$(BIN)/python -m mi_probe.estimate --config demo/critic.yaml --out "$(OUT)-critic"
	$(BIN)/python -m mi_probe.figures "$(OUT)" --out figures/demo
	$(BIN)/python -m mi_probe.figures "$(OUT)-critic" --only convergence --out figures/demo

figures: paper-figures  ## every figure of figures/, from the results in this repository, without training
	rm -f figures/*.pdf figures/*.png figures/*.csv figures/*.txt
	$(BIN)/python benchmarks/errors_figure.py --out figures
	cp results/study-$(BUDGET)-again/figures/* figures/
	cp results/study-$(BUDGET)-again/findings.md docs/findings.md

paper: $(STAMP)  ## the study: BUDGET=small, cpu (many hours) or gpu; goes on where it was
	$(BIN)/python -m mi_probe.study studies/$(BUDGET).yaml --out results/study-$(BUDGET) --jobs $(JOBS) \
	--archive results/study-$(BUDGET).parquet

paper-figures: $(STAMP)  ## tables, figures and findings of a study again, from its archive, without training
	rm -rf results/study-$(BUDGET)-again
	$(BIN)/python -m mi_probe.study studies/$(BUDGET).yaml --no-run --out results/study-$(BUDGET)-again \
	--restore results/study-$(BUDGET).parquet

notebooks: $(STAMP)  ## execute all notebooks, and keep what they show in them
	OMP_NUM_THREADS=1 $(BIN)/python .ci/notebooks $(NOTEBOOKS)

docs: $(STAMP)  ## the documentation as a site, docs/_build/html/index.html
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build/html

bench: $(STAMP)  ## our estimators and other packages on the same known answers
	$(BIN)/python benchmarks/compare.py

bench-calibration: $(STAMP)  ## coverage of intervals, rejections of the permutation null
	$(BIN)/python benchmarks/calibration.py

bench-speed: $(STAMP)  ## cost of an estimate, of a profile and of capture
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/profile_speed.py
	$(BIN)/python benchmarks/capture_cost.py

check: $(STAMP)  ## formatting, lint, import contracts, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	@if command -v node >/dev/null && $(BIN)/pyright --version >/dev/null 2>&1; then $(BIN)/pyright; \
	else echo "pyright skipped: it needs node, and fetches itself once"; fi

test: check  ## every check and every test but the slow ones
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 -m "not slow and not gpu"

test-slow: $(STAMP)  ## known answers at n = 10,000 and whole commands
	$(BIN)/python -m pytest -q -m "slow"

test-lowest:  ## every test but the slow ones, with the least versions that setup.cfg allows
	@command -v uv >/dev/null || { echo "test-lowest needs uv, which can choose the least versions"; exit 2; }
	uv venv -q --allow-existing --python "$(PYTHON)" $(LOWEST)
	.ci/uv-install "$(PYTHON)" -q --python $(LOWEST)/bin/python --resolution lowest-direct -e ".[embedded,test]"
	.ci/uv-install "$(PYTHON)" -q --python $(LOWEST)/bin/python --no-deps --require-hashes -r requirements-embedded.txt
	OMP_NUM_THREADS=1 $(LOWEST)/bin/python -m pytest -q -n 2 -m "not slow and not gpu"

constraints: $(STAMP)  ## write down the versions that .venv holds, in constraints.txt
	$(BIN)/python .ci/constraints

clean:  ## remove what the targets made, but no figures and no other results
	rm -rf $(VENV) $(LOWEST) results/demo results/demo-systems results/demo-critic .pytest_cache .ruff_cache .import_linter_cache .hypothesis
