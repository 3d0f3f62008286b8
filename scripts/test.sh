#!/usr/bin/env bash
# Everything that must hold, quickest first. Called by `make test` after the set-up.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=.venv/bin
step() { printf '\n\033[1m==> %s\033[0m\n' "$*"; }
# The tests start hundreds of processes: none of them is to compile all modules again.
export PYTHONDONTWRITEBYTECODE=
# Threads of one long product in numpy would spin on the core that another test needs.
export OPENBLAS_NUM_THREADS=1

step "ruff";            $bin/ruff check . && $bin/ruff format --check .
step "import-linter";   $bin/lint-imports --no-cache

# mypy has one thread: it takes what the unit tests leave of two cores, and tells when they are over.
nice $bin/mypy > .venv/types.log 2>&1 &
types=$!
trap 'kill "$types" 2>/dev/null || true' EXIT
types_end() {
  step "mypy"
  wait "$types" && cat .venv/types.log && return
  cat .venv/types.log
  exit 1
}

# Whole calls run by the wall clock, on a machine that may stop for a second. What failed runs once more, with less
# beside it; what is wrong fails both times, and the first report stays above.
twice() {
  $bin/pytest "$@" && return
  [ $? -eq 1 ] || return 1
  step "once more, what failed"
  $bin/pytest "$@" --last-failed --last-failed-no-failures=none
}
# Files go to whoever is free, in the order of tests/conftest.py: what takes long begins first.
spread() { echo "-q -n $1 --dist loadfile --no-loadscope-reorder"; }

if [ "$#" -gt 0 ]; then
  step "tests"
  $bin/pytest "$@"
  types_end
  exit
fi

# What computes is spread over the cores; whole conversations mostly wait, so more of them run than there are cores; and
# what measures a process under attack has the machine to itself.
step "unit and contract tests"
# Only the pure modules are counted, and only here: following all other code would double the time.
$bin/coverage erase
{ printf '[run]\nbranch = true\ninclude =\n'; sed 's/^/    /' scripts/pure-modules.txt; } > .venv/coverage.rc
$bin/pytest $(spread 2) --cov --cov-config=.venv/coverage.rc --cov-report= tests/unit tests/contract
types_end
step "branch coverage of the pure modules"
$bin/coverage report --rcfile=.venv/coverage.rc --fail-under=100 --show-missing --skip-covered
step "integration tests"
twice $(spread 3) tests/integration
step "end-to-end tests"
twice $(spread 3) -m "not alone" tests/e2e
step "end-to-end tests that want the machine to themselves"
twice -m alone tests/e2e
