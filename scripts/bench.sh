#!/usr/bin/env bash
# Every benchmark, one after the other, so that none disturbs another: 30 to 40 minutes on two quiet cores.
# Tables on the terminal, results in benchmarks/results/, README's table made from them.
set -euo pipefail
cd "$(dirname "$0")/.."
python=.venv/bin/python
export PYTHONPATH=.:codecs
run() { # name, module, options
  printf '\n\033[1m==> %s\033[0m\n' "$2 ${*:3}"
  "$python" -m "benchmarks.$2" "${@:3}" --json "benchmarks/results/$1.json"
}
mkdir -p benchmarks/results
run codecs codecs
run latency latency
run overhead overhead
run density density
run ramp ramp
run overload overload
run bargein bargein --count 14 --coughs 6
run wer wer
run tts tts
run control_api control_api
run webrtc webrtc
run webrtc-impaired webrtc_impaired
run webrtc-latency webrtc_latency
"$python" scripts/figures.py
"$python" scripts/scaling.py
