#!/usr/bin/env bash
# Everything that must hold, quickest first. Called by `make test` after the set-up.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=.venv/bin
step() { printf '\n\033[1m==> %s\033[0m\n' "$*"; }
step "ruff";            $bin/ruff check . && $bin/ruff format --check .
step "import-linter";   $bin/lint-imports --no-cache
step "mypy";            $bin/mypy
$bin/coverage erase
# Only the pure modules are counted: following all other code would double the time.
{ printf '[run]\nbranch = true\ninclude =\n'; sed 's/^/    /' scripts/pure-modules.txt; } > .venv/coverage.rc
if [ "$#" -gt 0 ]; then
  step "tests";         $bin/pytest --cov --cov-config=.venv/coverage.rc --cov-report= "$@"
else
  # What computes is spread over the cores; whole conversations mostly wait, two at a time; and what measures a process
  # under attack has the machine to itself.
  step "unit, contract and integration tests"
  $bin/pytest -q -n 2 --dist loadfile --cov --cov-config=.venv/coverage.rc --cov-report= tests/unit tests/contract tests/integration
  step "end-to-end tests"
  $bin/pytest -q -n 2 --dist loadfile -m "not alone" tests/e2e
  step "end-to-end tests that want the machine to themselves"
  $bin/pytest -m alone tests/e2e
fi
step "branch coverage of the pure modules"
$bin/coverage report --rcfile=.venv/coverage.rc --fail-under=100 --show-missing --skip-covered
