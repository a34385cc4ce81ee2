# `make` lists the targets. Each does all of its own set-up; uv is fetched when it is missing.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
# Three for two cores: tests wait for servers and launchers a third of their time.
WORKERS ?= $(shell echo $$(( $$(getconf _NPROCESSORS_ONLN) * 3 / 2 )))
PYTEST := $(BIN)/pytest -q -n $(WORKERS) --maxprocesses 8 --dist worksteal
export UV_NO_SYNC := 1
# Tests start hundreds of processes: what each would compile anew takes longer than what it does.
unexport PYTHONDONTWRITEBYTECODE
export DS_ACCELERATOR ?= $(shell command -v nvidia-smi >/dev/null || echo cpu)
ifeq ($(DS_ACCELERATOR),)
unexport DS_ACCELERATOR
endif

.DEFAULT_GOAL := help
.PHONY: help setup quickstart check test test-all test-alone browser bench wheels lock clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup:  ## install everything into .venv (torch for this machine's GPU or CPU)
	@$(PYTHON) scripts/install.py

quickstart: setup  ## the whole way in minutes: simulated teacher, shards, a trained student
	@$(BIN)/python scripts/quickstart.py

check: setup  ## format, lint, types, layers, budgets, lock: what CI checks
	@$(BIN)/python scripts/check.py

test: setup  ## the tests, without the slow ones
	@$(PYTEST)

test-all: setup test-alone  ## every test, the slow ones too, and each package alone
	@$(PYTEST) -m ''

test-alone:  ## each package's tests with only that package installed
	@$(PYTHON) scripts/test_alone.py

browser:  ## Chromium, its driver and axe-core, for the tests of pages; they are skipped without
	@$(PYTHON) scripts/browser.py

bench: setup  ## speed and memory against floors and the original's way, see benchmarks/README.md
	@missed=0; for name in read_answers race_templates audit_coverage annotate_throughput odd_servers several_addresses warm_rerun soak batch_api train_step serve export_speed view_rows soft_labels scale; do \
		$(BIN)/python benchmarks/$$name.py --check --json benchmarks/results/$$name.json || missed=1; \
	done; \
	$(BIN)/python benchmarks/annotate_throughput.py --tls --check \
		--json benchmarks/results/annotate_throughput_tls.json || missed=1; \
	exit $$missed

wheels: setup  ## build the three packages into dist/
	@$(PYTHON) scripts/wheels.py

lock:  ## resolve the dependencies again
	@env -u UV_FIND_LINKS $$(command -v uv || echo .tools/bin/uv) lock

clean:  ## remove what the commands above made (not runs/)
	@rm -rf .venv .tools .pytest_cache .ruff_cache .hypothesis
