# Two commands do everything: `make demo` (set-up and the main job on the sample corpus) and `make test`.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
LISTEN ?= 127.0.0.1
PORT ?= 3000
export PHOENIX_HOME ?= $(CURDIR)/.phoenix
export DAGSTER_HOME = $(PHOENIX_HOME)/dagster
# KenLM is compiled; its trainer needs Boost. The browser is for the tests of the UI.
SYSTEM_PACKAGES := g++ cmake libboost-program-options-dev libboost-system-dev libboost-thread-dev \
	libboost-test-dev zlib1g-dev libbz2-dev liblzma-dev
TEST_PACKAGES := chromium fonts-noto-cjk postgresql

.DEFAULT_GOAL := help
.PHONY: help setup demo ui test test-fast lint format bench lock clean

help:  ## Say what each target does
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

setup: $(VENV)/.ready  ## Make the virtual environment and KenLM's trainer

$(VENV)/.ready: requirements.lock pyproject.toml | system-packages
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --progress-bar off --quiet -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	$(BIN)/python -m phoenix_assets.clean.kenlm_builder $(BIN)
	touch $@

.PHONY: system-packages test-packages
system-packages:
	@tools/system-packages $(SYSTEM_PACKAGES)

test-packages:
	@tools/system-packages $(TEST_PACKAGES)

demo: setup  ## Land the sample corpus and make everything: tokens, a trained model, its evaluation
	$(BIN)/phoenix sample
	$(BIN)/phoenix materialize

ui: setup  ## Start the web server and the daemon, on loopback unless LISTEN= says otherwise
	$(BIN)/phoenix ui --host $(LISTEN) --port $(PORT)

test: setup test-packages  ## Run all tests
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test-fast: setup  ## Run the tests that take seconds
	$(BIN)/python -m pytest -m "not slow and not browser"

.venv-bench/.ready: bench/requirements-peers.lock
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --upgrade pip
	.venv-bench/bin/python -m pip install --progress-bar off --quiet --no-deps -r $<
	touch $@

.PHONY: bench-env
bench-env: .venv-bench/.ready  ## Make the peers' environment

bench: setup bench-env  ## Compare the kernels with their best peers; table, and bench/results.json
	$(BIN)/phoenix sample
	$(BIN)/python -m bench.run

lint: setup  ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup  ## Put the style right
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock:  ## Resolve the dependencies anew into requirements.lock
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet --upgrade pip 'setuptools<81' wheel
	.venv-lock/bin/python -m pip install --quiet --no-build-isolation '.[test]'
	.venv-lock/bin/python -m pip freeze --all --exclude phoenix-assets --exclude pip \
		| sed 's/^torch==\([0-9.]*\)+.*/torch==\1/' > requirements.lock
	rm -rf .venv-lock

clean:  ## Remove the environments; the data under $PHOENIX_HOME stays
	rm -rf $(VENV) .venv-bench
