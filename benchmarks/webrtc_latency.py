"""Voice-to-voice latency of a browser call beside that of the WebSocket, with the product's own engines.

``python -m benchmarks.webrtc_latency [--utterances 12] [--json FILE]``

Two calls are held at the same time against one gateway and say the same: one by WebRTC, one by the full profile with
Opus. Everything is measured on waveforms, as in :mod:`benchmarks.latency`; neither client has a jitter buffer.
"""

import asyncio
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.exchanges import Exchange, converse
from benchmarks.gateway_process import gateway
from benchmarks.latency import summarise, utterances
from benchmarks.machine import this_machine
from benchmarks.results import write_results
from voicegate.client.connection import CallTarget

_ANY = "to be named for each call"


async def measure(wanted: int) -> dict[str, list[Exchange]]:
    """The exchanges of both transports."""
    clips = (await utterances(wanted))[:wanted]
    async with gateway(None) as running, asyncio.TaskGroup() as group:
        targets = {
            "webrtc": CallTarget(_ANY, url=running.url, jitter_ms=0.0, via="webrtc"),
            "websocket": CallTarget(_ANY, url=running.url, jitter_ms=0.0, encoding="opus"),
        }
        tasks = {name: group.create_task(converse(target, clips)) for name, target in targets.items()}
    return {name: task.result() for name, task in tasks.items()}


def difference_ms(exchanges: Mapping[str, Sequence[Exchange]]) -> float | None:
    """How much later the same utterance is answered by WebRTC, in the median over those that both answered uncut; None
    where there is none."""
    pairs = zip(exchanges["webrtc"], exchanges["websocket"], strict=True)
    later = [
        ours.voice_to_voice_ms - theirs.voice_to_voice_ms
        for ours, theirs in pairs
        if ours.voice_to_voice_ms is not None and theirs.voice_to_voice_ms is not None and not (ours.cut or theirs.cut)
    ]
    return round(statistics.median(later), 1) if later else None


def main(
    wanted: Annotated[int, typer.Option("--utterances", min=1, help="Said by both.")] = 12,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all results here.")] = None,
) -> None:
    """Measure both transports at once."""
    machine = this_machine()
    exchanges = asyncio.run(measure(wanted))
    summaries = {name: summarise(each) for name, each in exchanges.items()}
    console = Console()
    for name, summary in summaries.items():
        console.print(f"{name}: {summary.voice_to_voice_ms}, answered {summary.answered} of {summary.utterances}")
    console.print(f"by WebRTC an answer comes {difference_ms(exchanges)} ms later")
    write_results(
        json_file,
        machine,
        settings={"utterances": wanted},
        summaries=summaries,
        difference_ms=difference_ms(exchanges),
        exchanges=exchanges,
    )


if __name__ == "__main__":
    typer.run(main)
