#!/usr/bin/env bash
# Hundreds of calls that end in every way, and what they leave behind: some ten minutes on two quiet cores.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p benchmarks/results
PYTHONPATH=.:codecs .venv/bin/python -m benchmarks.soak --json benchmarks/results/soak.json "$@"
