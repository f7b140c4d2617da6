# `make run` and `make test` set up everything they need; see README.md.
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SAMPLE := sample_captures/esxi-lateral.pcapng
# One more than there are cores: tests in the lab and in terminals wait most of their time.
WORKERS ?= $(shell echo $$(( $$(nproc) + 1 )))
BENCH ?=
SOAK ?=

.PHONY: run test check kernels bench lab enforce scenarios soak fuzz agree conformance pictures format setup system clean

run: $(STAMP) ## set up, compile the kernels, open the bundled capture in the app
	$(BIN)/workbench doctor --warm
	$(BIN)/workbench open $(SAMPLE)

test: system kernels ## run the tests
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup

check: $(STAMP) ## format, lint, types, floors
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

kernels: $(STAMP) ## compile the kernels, or find them compiled
	$(BIN)/workbench doctor --warm >/dev/null

bench: system $(STAMP) ## measure against peers on the same files; BENCH="--only index2g" for one part
	$(BIN)/python -m benchmarks.run $(BENCH)

lab: system $(STAMP) ## three DPUs with hosts behind them, tunnels and mirrors, and a shell in it (root)
	$(BIN)/python -m tests.lab.shell

enforce: system $(STAMP) ## random policies on Open vSwitch and nftables with real packets, against the plain engine (root, ten minutes)
	$(BIN)/python -m tests.lab.enforced --policies 200

scenarios: system $(STAMP) ## who held which address when, played twenty times, into docs/identity.md (root, half an hour)
	$(BIN)/python -m tests.lab.identity --jobs 3 --document

soak: $(STAMP) ## index again and again, then take live traffic (root), 30 minutes each, and watch memory; SOAK="--minutes 2" for less
	$(BIN)/python -m benchmarks.soak $(SOAK)
	$(BIN)/python -m benchmarks.live_soak $(SOAK)

fuzz: $(STAMP) ## mutate captures, conversations, telemetry and live pipes, a minute each, with bounds checked
	NUMBA_BOUNDSCHECK=1 NUMBA_CACHE_DIR=$(VENV)/kernels-checked $(BIN)/python -m tests.fuzz.fuzz_decode --seconds 60
	NUMBA_BOUNDSCHECK=1 NUMBA_CACHE_DIR=$(VENV)/kernels-checked $(BIN)/python -m tests.fuzz.fuzz_application --seconds 60
	NUMBA_BOUNDSCHECK=1 NUMBA_CACHE_DIR=$(VENV)/kernels-checked $(BIN)/python -m tests.fuzz.fuzz_telemetry --seconds 60
	NUMBA_BOUNDSCHECK=1 NUMBA_CACHE_DIR=$(VENV)/kernels-checked $(BIN)/python -m tests.fuzz.fuzz_live --seconds 60
	NUMBA_BOUNDSCHECK=1 NUMBA_CACHE_DIR=$(VENV)/kernels-checked $(BIN)/python -m tests.policy.agreement --policies 1000 --jobs 1

agree: $(STAMP) ## the three engines of policies on 100,000 random policies and packets, z3 on some of them (half an hour)
	$(BIN)/python -m tests.policy.agreement

conformance: $(STAMP) ## regenerate docs/conformance.md from the shared captures
	$(BIN)/python -m tests.conformance.document

pictures: $(STAMP) ## take the pictures of docs/tutorial.md and docs/editor.md from the app as it is
	$(BIN)/python -m docs.pictures.make

format: $(STAMP) ## rewrite the code in the house style
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

setup: $(STAMP)

system: ## install the Debian packages the tests use (as root; otherwise say what is missing)
	@bash .ci/system

$(STAMP): pyproject.toml constraints.txt
	@bash .ci/venv "$(PYTHON)" "$(VENV)"
	@touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache dist
