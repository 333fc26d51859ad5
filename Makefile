# Everything a fresh machine needs: Python 3.11 or newer, and the package registries its clients are set up for.
# Servers are found or got by testbed/embedded.py and kept in a cache outside the checkout.

PYTHON ?= python3
# Tests start hundreds of Python processes: each would compile the checkout again.
unexport PYTHONDONTWRITEBYTECODE
BIN := .venv/bin
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps

.PHONY: demo demo-search dev test check nightly bench faults scale lock clean

demo: .venv/demo            ## reindex 34,006 real records on servers of this machine; ARGS="--records 5000 --keep"
	$(BIN)/python starter.py demo $(ARGS)

demo-search: .venv/demo     ## a search index of the same records; needs a JDK and Maven; ARGS="--keep"
	$(BIN)/python starter.py demo-search $(ARGS)

dev: .venv/demo             ## the same servers and workers without the job, for work by hand
	$(BIN)/python starter.py dev $(ARGS)

# Tests with servers wait for two thirds of their time: more of them at once than there are cores. Each process has
# servers of its own, which take about 1 GB. Those that assert seconds wait more, and leave the cores to each other.
AT_ONCE ?= 6
FEW := 3
SIDE_BY_SIDE := --dist worksteal --durations 15

test: check                 ## everything CI runs
	$(BIN)/python -m testbed
	$(BIN)/pytest -m "not unit and not alone and not nightly" -n $(AT_ONCE) $(SIDE_BY_SIDE) $(ARGS)
	$(BIN)/pytest -m "alone and not nightly" -n $(FEW) $(SIDE_BY_SIDE) $(ARGS)

check: .venv/dev            ## the quick part: style, types, everything that starts no server
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy & types=$$!; $(BIN)/pytest -m unit -n auto $(SIDE_BY_SIDE) $(ARGS) && wait $$types

nightly: .venv/dev          ## restarts, crashes, the other engines, 400 examples of each property, mutations (over an hour)
	$(BIN)/python -m testbed
	SANDBOX=1 $(BIN)/pytest -m "nightly and not alone" -n $(AT_ONCE) $(SIDE_BY_SIDE) $(ARGS)
	SANDBOX=1 $(BIN)/pytest -m "nightly and alone" -n $(FEW) $(SIDE_BY_SIDE) $(ARGS)
	HYPOTHESIS_PROFILE=nightly $(BIN)/pytest -m hypothesis -n auto $(SIDE_BY_SIDE) $(ARGS)
	$(BIN)/python -m evidence.exactness.mutants

bench: .venv/dev            ## speeds as ratios, all in one run (about a quarter of an hour)
	$(BIN)/python -m evidence.benchmarks $(ARGS)

faults: .venv/dev           ## the exactness matrix (under an hour); writes docs/exactness.md and exactness-matrix.md
	$(BIN)/python -m evidence.exactness.matrix --processes 2 --write docs/exactness.md $(ARGS)

scale: .venv/dev            ## jobs of days, simulated and in a storm; writes docs/scale.md (about an hour)
	$(BIN)/python -m evidence.scale --write docs/scale.md $(ARGS)

# What is pinned stays as it is, unless ARGS=--upgrade.
PIN := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	--custom-compile-command 'make lock'
SERVERS := testbed/servers

lock: .venv/dev             ## pin every Python package, with its hashes, for all platforms; ARGS=--upgrade
	$(PIN) pyproject.toml --extra dev -o requirements.lock $(ARGS)
	$(PIN) pyproject.toml --extra demo -c requirements.lock -o requirements-demo.lock $(ARGS)
	for server in ministack go; do \
		grep -o "^[a-z-]*$$server[a-z-]*==[0-9.]*" $(SERVERS)/$$server.lock | $(PIN) - -o $(SERVERS)/$$server.lock $(ARGS); \
	done


clean:                      ## the checkout only; the servers' cache stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis

# A stamp per set of extras; installed again when the project's requirements change.
.venv/demo: requirements-demo.lock
.venv/dev: requirements.lock
.venv/demo .venv/dev: pyproject.toml
	@test -x $(BIN)/python || { echo "making .venv (once)"; $(PYTHON) -m venv .venv; }
	@echo "installing Python packages into .venv (under a minute, once)"
	@$(INSTALL) --require-hashes --only-binary :all: -r $(filter %.lock,$^)
	@$(INSTALL) --no-build-isolation -e .
	@touch $@
