#!/usr/bin/env bash
# Thousands of calls that end in every way, and what they leave behind; rolling restarts under live calls, and services
# that are away, and what they lose; the processes that book usage, killed five hundred times: some half an hour on two
# quiet cores.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p benchmarks/results
export PYTHONPATH=.:codecs
.venv/bin/python -m benchmarks.soak --json benchmarks/results/soak.json "$@"
.venv/bin/python -m benchmarks.mixed_fates --json benchmarks/results/mixed_fates.json
.venv/bin/python -m benchmarks.rolling --json benchmarks/results/rolling.json
.venv/bin/python -m benchmarks.outages --json benchmarks/results/outages.json
.venv/bin/python -m benchmarks.ledger_crash --json benchmarks/results/ledger_crash.json
