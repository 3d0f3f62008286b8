"""What 1,000 to 100,000 calls need, in docs/scaling.md: computed from the stage of one density measurement.

``python scripts/scaling.py`` writes it between its two markers; with ``--check`` nothing is written, and the exit code
is 1 when the page says something else.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = ROOT / "docs" / "scaling.md"
RESULT: Final = ROOT / "benchmarks" / "results" / "density.json"
BEGIN, END = "<!-- computed -->", "<!-- /computed -->"
CALLS: Final = (1_000, 10_000, 100_000)
FILLED: Final = 0.6
"""Share of a core that is planned with: the rest is for rushes and for calls of a process that died."""
REDIS_COMMANDS_PER_S: Final = 100_000
"""What one Redis is taken to do here; measure yours."""


def computed(stage: Mapping[str, Any]) -> str:
    """The text between the markers, of one stage of ``benchmarks.density``."""
    return "\n".join(_lines(stage))


def _lines(stage: Mapping[str, Any]) -> Iterator[str]:
    cpu_ms, memory_mb = stage["cpu_ms_per_call_second"], stage["memory_mb_per_call"]
    commands, sent = stage["redis_commands_per_call_second"], stage["redis_bytes_per_call_second"]
    yield f"Computed, not measured, from one stage of `benchmarks/results/density.json` ({stage['calls']} calls):"
    yield f"{cpu_ms} ms of a core, {commands} Redis commands and {sent:,.0f} bytes to Redis for each second of a call,"
    yield f"and {memory_mb} MB a call, with simulated stages."
    yield ""
    yield f"| calls at once | cores | at {FILLED:.0%} of each | Redis | memory of calls |"
    yield "|---|---|---|---|---|"
    for calls in CALLS:
        cores = calls * cpu_ms / 1000
        redis = f"{calls * commands:,.0f} commands/s, {calls * sent / 1e6:,.2f} MB/s"
        yield f"| {calls:,} | {cores:,.1f} | {cores / FILLED:,.0f} | {redis} | {calls * memory_mb / 1000:,.1f} GB |"
    yield ""
    yield f"That is {FILLED * 1000 / cpu_ms:,.0f} calls a core at {FILLED:.0%} of it, and"
    yield f"{REDIS_COMMANDS_PER_S / commands:,.0f} calls a Redis that does {REDIS_COMMANDS_PER_S:,} commands a second."


def with_computed(text: str, block: str) -> str:
    """``text`` with ``block`` between its markers.

    Raises:
        ValueError: there are no markers.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"no {BEGIN} … {END}")
    return f"{before}{BEGIN}\n{block}\n{END}{after}"


def main(arguments: Sequence[str]) -> int:
    text = PAGE.read_text()
    stage = json.loads(RESULT.read_text())["stages"][-1]
    wanted = with_computed(text, computed(stage))
    if "--check" in arguments:
        if wanted != text:
            sys.stderr.write("docs/scaling.md: not computed from density.json; run scripts/scaling.py\n")
        return int(wanted != text)
    PAGE.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
