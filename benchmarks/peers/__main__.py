"""voicegate beside pipecat and LiveKit Agents: the same calls, the same work, one core each, one table.

``python -m benchmarks.peers [--ours 100] [--pipecat 10] [--livekit 25] [--seconds 30] [--json FILE]``

All answer Twilio Media Streams with the simulated stages of :mod:`benchmarks.peers.stages` and their own Silero, pinned
to the first core; the callers (:mod:`benchmarks.peers.load`) have the others. The peers come from PyPI into virtual
environments of their own below ``.voicegate/peers``.

``CPU ms per call-second``
    User and system time of the server while all calls were up, divided by the seconds of all calls.
``voice to voice``
    From the frame with the question's last voiced sample to the first media message of the answer, at the caller.
``gap``
    Between the play times of two media messages of an answer, beyond what the first one plays: 0 is perfect.
``underrun``
    An answer that would have stopped short for a listener with a jitter buffer of 60 ms.
"""

import asyncio
import json
import sys
import tempfile
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import psutil
import typer
from rich.console import Console
from rich.table import Table

from audiocodecs.resample import resample_whole
from benchmarks.corpus import QUESTIONS, embedded_voice, say
from benchmarks.machine import ROOT, this_machine
from benchmarks.peers import stages
from benchmarks.peers.servers import PEERS, Server, our_server, peer_server, pin
from benchmarks.results import write_results
from benchmarks.statistics import Spread, spread
from voicegate.client.voiced import voiced_span
from voicegate.kernel.audio import PIPELINE_RATE_HZ, Samples

CALLS_A_CLIENT = 100
JITTER_S = 0.06
LATE_MS = 5.0


@dataclass(frozen=True, slots=True)
class Measured:
    """One server under its calls."""

    name: str
    calls: int
    cpu_ms_per_call_second: float
    core_share: float
    voice_to_voice_ms: Spread | None
    gap_p95_ms: float
    answers: int
    underruns: int
    unanswered: int
    memory_mb_per_call: float
    failures: list[str]
    send_lateness_ms: Spread | None


def gaps_ms(arrivals: list[tuple[float, float]]) -> list[float]:
    """How long the listener waits for each message after the one before it has played."""
    gaps, ends = [], 0.0
    for arrived, seconds in arrivals:
        if ends:
            gaps.append(max(0.0, arrived - ends) * 1000)
        ends = max(arrived, ends) + seconds
    return gaps


def underrun(arrivals: list[tuple[float, float]]) -> bool:
    """A message came after its time, counted from the first one and a jitter buffer."""
    due = arrivals[0][0] + JITTER_S
    for arrived, seconds in arrivals:
        if arrived > due:
            return True
        due += seconds
    return False


def evaluate(
    name: str, calls: int, clients: list[dict[str, Any]], cpu_s: float, seconds: float, memory_mb: float
) -> Measured:
    """The figures, from what the clients wrote."""
    since = max(each["measured_from"] for each in clients)
    until = min(each["until"] for each in clients)
    turns = [turn for each in clients for turn in each["turns"] if turn["sent"] >= since]
    answered = [turn for turn in turns if turn["arrivals"]]
    gaps = [gap for turn in answered for gap in gaps_ms(turn["arrivals"])]
    return Measured(
        name=name,
        calls=calls,
        cpu_ms_per_call_second=round(cpu_s * 1000 / (calls * seconds), 2),
        core_share=round(cpu_s / seconds, 3),
        voice_to_voice_ms=spread([(turn["arrivals"][0][0] - turn["sent"]) * 1000 for turn in answered]),
        gap_p95_ms=round(float(np.percentile(gaps, 95)), 1) if gaps else 0.0,
        answers=len(answered),
        underruns=sum(underrun(turn["arrivals"]) for turn in answered),
        unanswered=sum(not turn["arrivals"] and turn["sent"] < until - 3 for turn in turns),
        memory_mb_per_call=round(memory_mb / calls, 2),
        failures=[failure for each in clients for failure in each["failures"]],
        send_lateness_ms=spread([late for each in clients for late in each["late_ms"]]),
    )


async def measure(
    name: str, opened: AbstractAsyncContextManager[Server], calls: int, seconds: float, speech: Path, last: int
) -> Measured:
    """One server with ``calls`` calls at once."""
    async with opened as server:
        before = server.process.memory_info().rss
        outs, clients = [], []
        for first in range(0, calls, CALLS_A_CLIENT):
            out = speech.with_name(f"{name}-{first}.json")
            options = {
                "--url": server.url, "--calls": min(CALLS_A_CLIENT, calls - first), "--first": first, "--out": out,
                "--seconds": seconds, "--speech": speech, "--last-voiced": last,
            }  # fmt: skip
            command = ["-m", "benchmarks.peers.load", *(str(part) for pair in options.items() for part in pair)]
            process = await asyncio.create_subprocess_exec(
                sys.executable, *command, stdout=asyncio.subprocess.PIPE, cwd=ROOT
            )
            pin(psutil.Process(process.pid), first=False)
            outs.append(out)
            clients.append(process)
        for process in clients:
            assert process.stdout is not None
            await process.stdout.readline()
        started = _cpu_s(server.process)
        await asyncio.sleep(seconds)
        used = _cpu_s(server.process) - started
        memory = server.process.memory_info().rss - before
        for process in clients:
            await process.wait()
        return evaluate(name, calls, [json.loads(out.read_bytes()) for out in outs], used, seconds, memory / 1e6)


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


async def question() -> tuple[Samples, int]:
    """A question at 8 kHz and its last voiced sample."""
    samples, _ = await say(embedded_voice(), QUESTIONS[0])
    samples = resample_whole(samples, PIPELINE_RATE_HZ, 8000)
    span = voiced_span(samples, 8000)
    assert span is not None, "the embedded voice says something"
    return samples, span[1] - 1


async def compare(calls: dict[str, int], seconds: float, directory: Path, console: Console) -> list[Measured]:
    """Everybody in turn, in one run."""
    samples, last = await question()
    results = []
    with tempfile.TemporaryDirectory(prefix="voicegate-peers-") as folder:
        speech = Path(folder, "question.npy")
        np.save(speech, samples)
        for name, number in calls.items():
            if not number:
                continue
            console.print(f"{name} with {number} calls …")
            peer = next((each for each in PEERS if each.name == name), None)
            opened = peer_server(peer, directory) if peer else our_server(number)
            results.append(await measure(name, opened, number, seconds, speech, last))
    return results


def show(console: Console, results: list[Measured]) -> None:
    """All in one table."""
    ours = results[0].cpu_ms_per_call_second
    table = Table(title="One core each, the same calls", title_justify="left")
    for column in (
        "",
        "calls",
        "CPU ms/call-s",
        "times ours",
        "voice to voice ms",
        "gap p95 ms",
        "underruns",
        "MB/call",
    ):
        table.add_column(column, justify="left" if not column else "right")
    for each in results:
        voice = each.voice_to_voice_ms
        table.add_row(
            each.name, str(each.calls), str(each.cpu_ms_per_call_second), f"{each.cpu_ms_per_call_second / ours:.1f}",
            f"{voice.median:.0f}, p95 {voice.p95:.0f}" if voice else "never", str(each.gap_p95_ms),
            f"{each.underruns} of {each.answers}", str(each.memory_mb_per_call),
        )  # fmt: skip
    console.print(table)
    for each in results:
        if each.failures or each.unanswered:
            console.print(f"{each.name}: {each.unanswered} unanswered, failures {each.failures[:3]}")
        if each.send_lateness_ms and each.send_lateness_ms.p99 > LATE_MS:
            late = each.send_lateness_ms.p99
            console.print(f"[red]{each.name}: the callers are the bottleneck:[/] {late:.1f} ms late (p99)")


def main(
    ours: Annotated[int, typer.Option(min=1)] = 100,
    pipecat: Annotated[int, typer.Option(min=0)] = PEERS[0].calls,
    livekit: Annotated[int, typer.Option(min=0)] = PEERS[1].calls,
    seconds: Annotated[float, typer.Option(min=20, help="An exchange takes some 17.")] = 30.0,
    directory: Annotated[Path, typer.Option(help="Of the peers' environments.")] = ROOT / ".voicegate" / "peers",
    json_file: Annotated[Path | None, typer.Option("--json")] = None,
) -> None:
    """Compare; exit code 1 when a server answered nothing, so that its figures mean nothing."""
    machine, console = this_machine(), Console(width=120)
    calls = {"voicegate": ours, "pipecat": pipecat, "livekit": livekit}
    results = asyncio.run(compare(calls, seconds, directory, console))
    show(console, results)
    planned = {name: getattr(stages, name) for name in dir(stages) if name.endswith("_S") or name == "TOKENS"}
    write_results(json_file, machine, settings={"seconds": seconds, "stages": planned}, results=results)
    if mute := [each.name for each in results if not each.answers]:
        console.print(f"no answer from {', '.join(mute)}")
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
