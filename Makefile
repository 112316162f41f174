# `make run` and `make test` include the set-up; they need Python >= 3.11 and make.

SHELL := /bin/bash
CANDIDATES := python3 python3.14 python3.13 python3.12 python3.11 python
RECENT := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in $(CANDIDATES); do $$p -c '$(RECENT)' 2> /dev/null && echo $$p && break; done)
BIN := .venv/bin
READY := .venv/.ready

# Rules call `biocnn`, which must be that of this environment.
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help run test lint docs nightly bench gpu

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1	\2/p' Makefile

run: $(READY) ## run the experiments of config/config.yaml; ends with metrics and the path of the report
	$(BIN)/snakemake --cores all

test: $(READY) results/index.html ## run the tests, and before them the experiments whose results they look at
	OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -q -n auto --dist loadfile --no-loadscope-reorder -m "not slow"

results/index.html: | $(READY)
	$(BIN)/snakemake --cores all

lint: $(READY) ## check style and types of Python, and style of the workflow
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

docs: $(READY) ## build the documentation, which then starts at docs/_build/html/index.html
	$(BIN)/python -m sphinx -q -E -W --keep-going docs docs/_build/html

nightly: $(READY) ## run the tests that `make test` leaves out, because they take long
	$(BIN)/pytest -q -m slow

bench: $(READY) ## compare speed with other tools (docs/benchmarks.md); nothing else should run at the same time
	$(BIN)/python -m benchmarks.run

gpu: ## test and measure on a GPU with the packages of PYTHON, without setting up .venv (docs/benchmarks.md)
	$(PYTHON) -m benchmarks.gpu.run

$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "make: Python 3.11 or later is needed; install it, or name it: make PYTHON=/path/to/python" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || \
		{ rm -rf .venv; echo "make: '$(PYTHON) -m venv' failed; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	$(BIN)/python -m pip install --constraint constraints.txt --editable '.[dev,docs]'
	@touch $@
