"""How many calls one core carries with the embedded engines: real voice activity, speech to text, agent and voice.

``python -m benchmarks.ramp [--calls 4] [--step 4] [--most 40] [--seconds 30] [--json FILE]``

``voicegate serve`` with all its threads has one core for itself; the callers (:mod:`benchmarks.density_client`) and
Redis have the others. Calls are phone calls: μ-law at 8 kHz, 20 ms a message, both ways, all the time. Each caller asks
one question after the other, 0.4 s after the answer to the one before has ended, so all of them speak or listen all
the time; people pause longer. The number of calls grows by ``--step`` until a stage does not hold.

``voice to voice``
    From sending the frame with a question's last voiced sample to the first message in which the answer can be heard,
    at the caller.
``unanswered``
    Questions without an audible answer that were asked more than three seconds before the end.
``holds``
    Voice to voice p95 is at most one second, every call stayed up, and at most one question in fifty was unanswered.
"""

import asyncio
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer
import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks.corpus import QUESTIONS
from benchmarks.density import LATE_MS, asked, callers, cpu_s, pin, underrun
from benchmarks.density_client import save_questions
from benchmarks.gateway_process import gateway
from benchmarks.machine import this_machine
from benchmarks.results import write_results
from benchmarks.statistics import Spread, spread

LIMIT_MS = 1000.0
UNANSWERED_LIMIT = 0.02
_PATIENCE_S = 3.0
_BETWEEN_S = 6.0
"""From one stage to the next: the load level falls, and what was said last is worked off."""
_LATE_MS = "60"
"""``VOICEGATE_LATE_MS``. The question is when answers take a second, not when the gateway would rather have nobody else
on its one core: it sheds, and refuses, later than by default."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One number of calls."""

    calls: int
    voice_to_voice_ms: Spread | None
    questions: int
    unanswered: int
    underruns: int
    cpu_ms_per_call_second: float
    core_share: float
    """Of the gateway's core."""
    failures: list[str]
    send_lateness_ms: Spread | None

    @property
    def holds(self) -> bool:
        """As the module says."""
        quick = self.voice_to_voice_ms is not None and self.voice_to_voice_ms.p95 <= LIMIT_MS
        return quick and not self.failures and self.unanswered <= UNANSWERED_LIMIT * self.questions


def evaluate(calls: int, clients: Iterable[dict[str, Any]], used_s: float, seconds: float) -> Stage:
    """The figures of one stage from what its clients wrote; ``used_s``: processor time of the gateway in ``seconds``.

    A reply that began before its question counts as none: the agent was still at the one before.
    """
    clients = list(clients)
    since, until = max(each["since"] for each in clients), min(each["until"] for each in clients)
    turns = [turn for each in clients for turn in each["turns"] if since <= turn["sent"]]
    answered = [turn for turn in turns if turn["voiced"] >= 0]
    due = [turn for turn in turns if turn["voiced"] >= 0 or turn["sent"] < until - _PATIENCE_S]
    return Stage(
        calls=calls,
        voice_to_voice_ms=spread([(turn["voiced"] - turn["sent"]) * 1000 for turn in answered]),
        questions=len(due),
        unanswered=len(due) - len(answered),
        underruns=sum(underrun(turn["arrivals"]) for turn in answered),
        cpu_ms_per_call_second=round(used_s * 1000 / (calls * seconds), 2),
        core_share=round(used_s / seconds, 3),
        failures=[failure for each in clients for failure in each["failures"]],
        send_lateness_ms=spread([late for each in clients for late in each["late_ms"]]),
    )


async def measure(first: int, step: int, most: int, seconds: float, workers: int, console: Console) -> list[Stage]:
    """Stage after stage on one gateway, until one does not hold or ``most`` calls do."""
    questions, stages = await asked(QUESTIONS), list[Stage]()
    settings = {
        "VOICEGATE_MAX_CALLS": str(2 * most), "VOICEGATE_STT_WORKERS": str(workers), "VOICEGATE_LATE_MS": _LATE_MS
    }  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="voicegate-ramp-") as folder:
        speech = Path(folder, "questions.npz")
        save_questions(speech, questions)
        async with gateway(None, settings=settings) as running:
            assert running.pid is not None
            server, port = psutil.Process(running.pid), int(running.url.rpartition(":")[2])
            pin(server, first=True)
            for calls in range(first, most + 1, step):
                async with callers(port, calls, seconds, speech) as written:
                    print(f"{calls} calls on process {server.pid}", file=sys.stderr, flush=True)
                    before = cpu_s(server)
                    await asyncio.sleep(seconds)
                    used = cpu_s(server) - before
                stages.append(evaluate(calls, written, used, seconds))
                show(console, stages[-1:])
                if not stages[-1].holds:
                    break
                await asyncio.sleep(_BETWEEN_S)
    return stages


def capacity(stages: Iterable[Stage]) -> int:
    """Calls of the last stage that held; 0 where none did."""
    return max((stage.calls for stage in stages if stage.holds), default=0)


def show(console: Console, stages: Iterable[Stage]) -> None:
    """As a table."""
    table = Table(title="Calls on one core, embedded engines", title_justify="left")
    for column in ("calls", "voice to voice ms", "unanswered", "ran dry", "CPU ms/call-s", "core", "failures", "holds"):
        table.add_column(column, justify="right")
    for each in stages:
        voice = each.voice_to_voice_ms
        table.add_row(
            str(each.calls), f"median {voice.median:.0f}, p95 {voice.p95:.0f}" if voice else "never",
            f"{each.unanswered} of {each.questions}", str(each.underruns), str(each.cpu_ms_per_call_second),
            f"{each.core_share:.0%}", f"{len(each.failures)} {each.failures[:1] or ''}", "yes" if each.holds else "no",
        )  # fmt: skip
        if each.send_lateness_ms and each.send_lateness_ms.p99 > LATE_MS:
            console.print(f"[red]The callers are the bottleneck:[/] {each.send_lateness_ms.p99:.1f} ms late (p99)")
    console.print(table)


def main(
    calls: Annotated[int, typer.Option(min=1, help="Of the first stage.")] = 4,
    step: Annotated[int, typer.Option(min=1)] = 4,
    most: Annotated[int, typer.Option(min=1, help="Calls of the last stage.")] = 40,
    seconds: Annotated[float, typer.Option(min=5, help="Measured of each stage.")] = 30.0,
    workers: Annotated[int, typer.Option(min=1, help="VOICEGATE_STT_WORKERS of the gateway.")] = 2,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all results here.")] = None,
) -> None:
    """More and more calls until voice to voice p95 is above one second; exit code 1 where the first stage failed."""
    machine, console = this_machine(), Console(width=120)
    stages = uvloop.run(measure(calls, step, most, seconds, workers, console))
    show(console, stages)
    console.print(f"calls on one core: {capacity(stages)}")
    settings = {"calls": calls, "step": step, "most": most, "seconds": seconds, "workers": workers}
    write_results(json_file, machine, settings=settings, stages=stages, capacity=capacity(stages))
    if not capacity(stages):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
