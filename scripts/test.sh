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
counted=(--cov --cov-append --cov-config=.venv/coverage.rc --cov-report=)

# Whole calls run by the wall clock, on a machine that may stop for a second. What failed runs once more, with less
# beside it; what is wrong fails both times, and the first report stays above.
twice() {
  $bin/pytest "$@" && return
  [ $? -eq 1 ] || return 1
  step "once more, what failed"
  $bin/pytest "$@" --last-failed --last-failed-no-failures=none
}

if [ "$#" -gt 0 ]; then
  step "tests";         $bin/pytest "${counted[@]}" "$@"
else
  # What computes is spread over the cores; whole conversations mostly wait, three at a time; and what measures a process
  # under attack has the machine to itself.
  step "unit and contract tests"
  $bin/pytest -q -n 2 --dist loadfile "${counted[@]}" tests/unit tests/contract
  step "integration tests"
  twice -q -n 2 --dist loadfile "${counted[@]}" tests/integration
  step "end-to-end tests"
  twice -q -n 3 --dist loadfile -m "not alone" tests/e2e
  step "end-to-end tests that want the machine to themselves"
  twice -m alone tests/e2e
fi
step "branch coverage of the pure modules"
$bin/coverage report --rcfile=.venv/coverage.rc --fail-under=100 --show-missing --skip-covered
