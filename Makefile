# make run, make test: everything else is a part of them or a longer proof.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test lint types bench bench-peers soak lock clean setup

run: setup            ## set everything up and start voicegate on http://localhost:8000, its control API on http://localhost:8001
	$(BIN)/voicegate serve --role all

test: setup           ## lint, types, import contracts, then all tests
	./scripts/setup-tests.sh
	./scripts/test.sh

lint: setup
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports

types: setup
	$(BIN)/mypy

bench: setup          ## latency and overhead, with tables; writes benchmarks/results/
	./scripts/bench.sh

bench-peers: setup    ## the same calls on voicegate, pipecat and LiveKit Agents, one core each; a table with ratios
	PYTHONPATH=.:codecs $(BIN)/python -m benchmarks.peers --json benchmarks/results/peers.json

soak: setup           ## hundreds of calls, kills and mutations; prints its tables
	./scripts/soak.sh

lock:                 ## pin every dependency with its hashes (needs uv)
	uv pip compile pyproject.toml --group dev --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-annotate -q -o requirements.lock

clean:
	rm -rf $(VENV) .voicegate .mypy_cache .ruff_cache .pytest_cache .hypothesis

setup: $(VENV)/.ready

$(VENV)/.ready: requirements.lock pyproject.toml scripts/setup.sh
	PYTHON=$(PYTHON) ./scripts/setup.sh
