#!/usr/bin/env bash
# Our phone carriers against pipecat's serializers, in an environment of its own (half a gigabyte, a few minutes).
set -euo pipefail
cd "$(dirname "$0")/.."
environment=${1:-.venv/pipecat}
if [ ! -x "$environment/bin/python" ]; then
  .venv/bin/python -m venv "$environment"
  "$environment/bin/pip" install --quiet pipecat-ai==1.14.0 msgspec av
fi
PYTHONPATH=.:codecs "$environment/bin/python" scripts/crosscheck_phones.py
