#!/usr/bin/env bash
# Everything that must hold, quickest first. Called by `make test` after the set-up.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=.venv/bin
step() { printf '\n\033[1m==> %s\033[0m\n' "$*"; }
step "ruff";            $bin/ruff check . && $bin/ruff format --check .
step "import-linter";   $bin/lint-imports --no-cache
step "mypy";            $bin/mypy
step "tests";           $bin/coverage erase
$bin/pytest --cov --cov-report= "$@"
step "branch coverage of the pure modules"
$bin/coverage report --include="$(tr '\n' ',' < scripts/pure-modules.txt)" --fail-under=100 --show-missing --skip-covered
