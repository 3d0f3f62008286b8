#!/usr/bin/env bash
# Makes .venv and installs what is missing. Safe to run again; touches nothing outside this folder but Debian packages.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
say() { printf '\033[1m==> %s\033[0m\n' "$*" >&2; }
die() { printf 'voicegate: %s\n' "$*" >&2; exit 1; }

sudo_() { if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then sudo -n "$@"; else return 1; fi; }
may_install() { command -v apt-get >/dev/null && sudo_ true; }
updated=
debian() { # install the named Debian packages, or say how
  if may_install; then
    say "installing Debian packages: $*"
    [ -n "$updated" ] || { sudo_ apt-get update -qq >/dev/null || true; updated=1; }
    sudo_ env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
  else
    return 1
  fi
}

command -v "$python" >/dev/null || debian python3 || die "Python 3.11 or newer is needed: install the package python3"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
  || die "Python 3.11 or newer is needed, $("$python" --version) found; name another one with PYTHON=... make run"
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
  debian python3-venv || die "the module venv is missing: sudo apt-get install python3-venv"
fi
if ! ldconfig -p 2>/dev/null | grep -q 'libflite_cmu_us_rms\.so'; then
  debian libflite1 || say "libflite1 is absent and may not be installed here: speech falls back to espeak-ng
    (for the better voice: sudo apt-get install libflite1)"
fi

[ -x .venv/bin/python ] || { say "making .venv"; "$python" -m venv .venv; }
say "installing Python packages (pinned by hash; the first time takes a minute or two)"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
touch .venv/.ready
