#!/usr/bin/env bash
# What the tests in a browser need besides what `make run` needs: Chromium, and npm for one published client.
# Where Debian packages may not be installed it says so, and those tests are skipped with that reason.
set -euo pipefail
cd "$(dirname "$0")/.."
say() { printf '\033[1m==> %s\033[0m\n' "$*" >&2; }

missing=()
command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null \
  || missing+=(chromium)
command -v npm >/dev/null || missing+=(npm)
[ "${#missing[@]}" -gt 0 ] || exit 0

if [ "$(id -u)" = 0 ]; then sudo_=(); else sudo_=(sudo -n); fi
if ! command -v apt-get >/dev/null || ! "${sudo_[@]}" true 2>/dev/null; then
  say "not installed, and may not be installed here: ${missing[*]}; tests that need them are skipped
    (to run them: sudo apt-get install ${missing[*]})"
  exit 0
fi
say "installing Debian packages for the tests: ${missing[*]}"
"${sudo_[@]}" apt-get update -qq >/dev/null || true
"${sudo_[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null \
  || say "Debian packages could not be installed: ${missing[*]}; tests that need them are skipped"
