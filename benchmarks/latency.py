"""Voice-to-voice latency of the whole product with its own engines, measured on waveforms.

``python -m benchmarks.latency [--calls 1] [--url ws://… | starts a gateway of its own] [--json FILE]``

At least 24 utterances are said in real time: recorded human voices where there are any, and questions in the embedded
voice, some with a pause of 300 to 700 ms cut into them at a word border. Percentiles are over utterances that were
answered and not cut. *Cut* means: taken for more than one turn, or committed before its last voiced sample was sent.
Cut rates are given apart for utterances with an inner pause of 300 ms or more (measured, so natural pauses count too).
The client's jitter buffer is 0 by default: what stands here is what left the gateway on this machine.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmarks.corpus import Clip, questions, recorded
from benchmarks.exchanges import STAGES, Exchange, converse
from benchmarks.gateway_process import gateway
from benchmarks.machine import this_machine
from benchmarks.results import write_results
from benchmarks.statistics import Spread, share, spread
from benchmarks.waveform import SHORT_PAUSE_MS
from voicegate.client.connection import CallTarget

UTTERANCES = 24
NO_CLEAR_END = frozenset({"jfk"})
"""Clips in which noise as loud as speech follows the last word, so that no waveform tells where that ended."""
_ANY = "to be named for each call"


@dataclass(frozen=True, slots=True)
class Summary:
    """All utterances of a run in a few numbers; milliseconds and per cent."""

    utterances: int
    answered: int
    voice_to_voice_ms: Spread | None
    """From the waveforms, over utterances that were not cut."""
    gateway_ms: Spread | None
    stages_ms: dict[str, Spread | None]
    difference_ms: Spread | None
    """Waveform minus gateway: above 0, the gateway flatters itself."""
    cut_share: float | None
    cut_share_with_pause: float | None
    cut_share_without_pause: float | None


def summarise(exchanges: Sequence[Exchange]) -> Summary:
    """The summary of a run."""
    whole = [each for each in exchanges if not each.cut and each.voice_to_voice_ms is not None]
    pairs = [(each.voice_to_voice_ms, each.gateway_ms) for each in whole]
    spoken = [each for each in exchanges if each.turns]
    with_pause = [each for each in spoken if each.pause_ms >= SHORT_PAUSE_MS]
    without = [each for each in spoken if each.pause_ms < SHORT_PAUSE_MS]
    return Summary(
        utterances=len(exchanges),
        answered=sum(each.voice_to_voice_ms is not None for each in exchanges),
        voice_to_voice_ms=spread([measured for measured, _ in pairs if measured is not None]),
        gateway_ms=spread([told for _, told in pairs if told is not None]),
        stages_ms={
            stage: spread([each.stages_ms[stage] for each in whole if each.stages_ms is not None]) for stage in STAGES
        },
        difference_ms=spread([one - two for one, two in pairs if one is not None and two is not None]),
        cut_share=_cut_share(spoken),
        cut_share_with_pause=_cut_share(with_pause),
        cut_share_without_pause=_cut_share(without),
    )


def _cut_share(exchanges: Sequence[Exchange]) -> float | None:
    return share(sum(each.cut for each in exchanges), len(exchanges))


async def utterances(wanted: int) -> list[Clip]:
    """At least ``wanted`` clips, the same ones in every run, human and synthetic voices in turn."""
    human = [clip for clip in recorded("speech") if clip.name not in NO_CLEAR_END]
    made = await questions()
    mixed = [clip for pair in zip(human, made, strict=False) for clip in pair]
    mixed += human[len(made) :] + made[len(human) :]
    return [mixed[n % len(mixed)] for n in range(max(wanted, len(mixed)))]


async def measure(url: str | None, calls: int, wanted: int, encoding: str, jitter_ms: float) -> list[Exchange]:
    """Deal the utterances to ``calls`` calls that are held at the same time."""
    clips = await utterances(wanted)
    async with gateway(url) as running, asyncio.TaskGroup() as group:
        target = CallTarget(_ANY, url=running.url, encoding=encoding, jitter_ms=jitter_ms)  # type: ignore[arg-type]
        tasks = [group.create_task(converse(target, clips[n::calls])) for n in range(calls)]
    return [each for task in tasks for each in task.result()]


def main(
    calls: Annotated[int, typer.Option(min=1, help="Calls held at the same time.")] = 1,
    url: Annotated[str, typer.Option(help="A running gateway; one is started if empty.")] = "",
    wanted: Annotated[int, typer.Option("--utterances", min=1, help="At least so many.")] = UTTERANCES,
    encoding: Annotated[str, typer.Option(help="pcm16, pcmu, pcma or opus.")] = "pcm16",
    jitter_ms: Annotated[float, typer.Option(min=0, help="Jitter buffer of the client.")] = 0.0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all results here.")] = None,
) -> None:
    """Measure the latency and the cut rate of a gateway."""
    machine = this_machine()
    exchanges = asyncio.run(measure(url or None, calls, wanted, encoding, jitter_ms))
    summary = summarise(exchanges)
    console = Console()
    console.print(_table(exchanges))
    console.print(_summary_table(summary))
    console.print(
        f"cut: {summary.cut_share} % of all, {summary.cut_share_with_pause} % with a pause of {SHORT_PAUSE_MS} ms or "
        f"more, {summary.cut_share_without_pause} % without; answered {summary.answered} of {summary.utterances}"
    )
    settings = {"calls": calls, "encoding": encoding, "jitter_ms": jitter_ms, "url": url or "own process"}
    write_results(json_file, machine, settings=settings, summary=summary, exchanges=exchanges)


def _table(exchanges: Sequence[Exchange]) -> Table:
    table = Table(title="Voice to voice in ms, by utterance", title_justify="left")
    for name in ("utterance", "pause", "measured", "gateway", *(stage.removesuffix("_ms") for stage in STAGES), "cut"):
        table.add_column(name, justify="left" if name == "utterance" else "right")
    for each in exchanges:
        stages = [f"{each.stages_ms[stage]:.0f}" if each.stages_ms else "–" for stage in STAGES]
        cut = f"cut ({each.turns} turns)" if each.cut else each.failure and "call broke"
        cells = [f"{each.pause_ms:.0f}", _ms(each.voice_to_voice_ms), _ms(each.gateway_ms), *stages, cut]
        table.add_row(Text(each.clip), *cells)
    return table


def _summary_table(summary: Summary) -> Table:
    table = Table(title="All utterances that were not cut, in ms", title_justify="left")
    for name in ("", "median", "p90", "p95", "worst", "n"):
        table.add_column(name, justify="right" if name else "left")
    rows = {"voice to voice": summary.voice_to_voice_ms, "by the gateway": summary.gateway_ms}
    rows |= {stage.removesuffix("_ms"): values for stage, values in summary.stages_ms.items()}
    for name, values in rows.items():
        if values is not None:
            numbers = (values.median, values.p90, values.p95, values.worst)
            table.add_row(name, *(f"{number:.0f}" for number in numbers), str(values.count))
    return table


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}"


if __name__ == "__main__":
    typer.run(main)
