"""How many calls a core carries, and what a second of one costs.

``python -m benchmarks.density [--calls 100] [--seconds 30] [--ramp] [--json FILE]``

:mod:`benchmarks.server` runs with simulated stages and real voice activity on one core of its own; the callers
(:mod:`benchmarks.density_client`, so cheap that they hardly count) and Redis have the others. Every call is a phone
call: μ-law at 8 kHz, 20 ms a message, both ways, all the time, with a quiet line's noise between the questions.

``CPU ms per call-second``
    User and system time of the server process while all calls were up, divided by the seconds of all calls.
``gap``
    Between the play times of two audio messages of a reply, for a listener without a jitter buffer: a message plays
    when it is here and the one before it is over. 20 ms is perfect.
``underrun``
    A reply that would have stopped short for a listener with a jitter buffer of 60 ms.
``overhead``
    From sending the frame with the question's last voiced sample to the reply's first audio, less what the stages
    take by themselves (``planned`` in :mod:`benchmarks.overhead`), less how much later than the waveform voice activity
    placed that sample.
``memory``
    Resident memory of the server with all calls up, less that before the first, divided by the calls.

With ``--ramp`` the calls grow by ``--calls`` each stage until an underrun, a late gap or a failed call says that it is
enough.
"""

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import psutil
import typer
import uvloop
from redis.asyncio import Redis
from rich.console import Console
from rich.table import Table

from audiocodecs.resample import resample_whole
from benchmarks.corpus import QUESTIONS, embedded_voice, say
from benchmarks.density_client import save_questions
from benchmarks.gateway_process import gateway
from benchmarks.machine import ROOT, this_machine
from benchmarks.overhead import Plan
from benchmarks.results import write_results
from benchmarks.server import Vad
from benchmarks.simulated import Latencies
from benchmarks.statistics import Spread, spread
from voicegate.client.voiced import voiced_span
from voicegate.kernel.audio import FRAME_MS, PIPELINE_RATE_HZ, Samples

RATE_HZ = 8_000
JITTER_S = 0.06
LATE_MS = 5.0
"""Callers whose 99th percentile of send lateness is above this measure themselves."""
CALLS_A_CLIENT = 150
GAP_LIMIT_MS = 30.0
UNDERRUN_LIMIT = 0.01


@dataclass(frozen=True, slots=True)
class Stage:
    """One number of calls."""

    calls: int
    cpu_ms_per_call_second: float
    core_share: float
    """Of the server's core."""
    overhead_ms: Spread | None
    gap_p95_ms: float
    gap_p999_ms: float
    replies: int
    underruns: int
    unanswered: int
    failures: list[str]
    memory_mb_per_call: float
    send_lateness_ms: Spread | None
    redis_commands_per_call_second: float = 0.0
    """Of all kinds, each of a script's own ones counted too."""
    redis_bytes_per_call_second: float = 0.0
    """Sent to Redis."""

    @property
    def holds(self) -> bool:
        """The calls were all right."""
        few = self.underruns <= UNDERRUN_LIMIT * self.replies
        return not self.failures and few and self.gap_p95_ms <= GAP_LIMIT_MS and bool(self.replies)


def gaps_ms(arrivals: Sequence[float]) -> list[float]:
    """Between the play times of successive messages, without a jitter buffer."""
    gaps, plays = [], 0.0
    for number, arrived in enumerate(arrivals):
        at = max(arrived, plays + FRAME_MS / 1000) if number else arrived
        if number:
            gaps.append((at - plays) * 1000)
        plays = at
    return gaps


def underrun(arrivals: Sequence[float]) -> bool:
    """Whether a message came after its time, counted from the first one and a jitter buffer."""
    return any(arrived > arrivals[0] + JITTER_S + number * FRAME_MS / 1000 for number, arrived in enumerate(arrivals))


def evaluate(
    calls: int, clients: Iterable[dict[str, Any]], planned_ms: float, cpu_s: float, seconds: float, memory_mb: float
) -> Stage:
    """The figures of one stage from what its clients wrote."""
    clients = list(clients)
    since = max(each["since"] for each in clients)
    turns = [turn for each in clients for turn in each["turns"] if turn["sent"] >= since]
    answered = [turn for turn in turns if turn["arrivals"]]
    until = min(each["until"] for each in clients)
    unanswered = sum(not turn["arrivals"] and turn["sent"] < until - 3 for turn in turns)
    overheads = [
        (turn["arrivals"][0] - turn["sent"]) * 1000 - planned_ms - (turn["stopped_ms"] - turn["sent_ms"])
        for turn in answered
        if turn["stopped_ms"] >= 0
    ]
    gaps = [gap for turn in answered for gap in gaps_ms(turn["arrivals"])]
    late = [each for client in clients for each in client["late_ms"]]
    return Stage(
        calls=calls,
        cpu_ms_per_call_second=round(cpu_s * 1000 / (calls * seconds), 2),
        core_share=round(cpu_s / seconds, 3),
        overhead_ms=spread(overheads),
        gap_p95_ms=round(float(np.percentile(gaps, 95)), 1) if gaps else 0.0,
        gap_p999_ms=round(float(np.percentile(gaps, 99.9)), 1) if gaps else 0.0,
        replies=len(answered),
        underruns=sum(underrun(turn["arrivals"]) for turn in answered),
        unanswered=unanswered,
        failures=[failure for client in clients for failure in client["failures"]],
        memory_mb_per_call=round(memory_mb / calls, 3),
        send_lateness_ms=spread(late),
    )


async def asked(texts: Sequence[str]) -> list[tuple[Samples, int]]:
    """Questions in the embedded voice at 8 kHz, each with its last voiced sample."""
    voice, found = embedded_voice(), []
    for text in texts:
        samples, _ = await say(voice, text)
        samples = resample_whole(samples, PIPELINE_RATE_HZ, RATE_HZ)
        span = voiced_span(samples, RATE_HZ)
        assert span is not None, "the embedded voice says something"
        found.append((samples, span[1] - 1))
    return found


async def measure(plan: Plan, calls: int, seconds: float, root: Path) -> Stage:
    """One stage with a server of its own, from the tree at ``root``."""
    questions = await asked(QUESTIONS[:1])
    with tempfile.TemporaryDirectory(prefix="voicegate-density-") as folder:
        speech = Path(folder, "questions.npz")
        save_questions(speech, questions)
        settings = {"VOICEGATE_MAX_CALLS": str(calls + 1)}
        async with gateway(
            None, module="benchmarks.server", options=plan.options(), settings=settings, root=root
        ) as running:
            assert running.pid is not None
            server = psutil.Process(running.pid)
            pin(server, first=True)
            port = int(running.url.rpartition(":")[2])
            assert running.data_dir is not None
            async with Redis(unix_socket_path=(running.data_dir / "redis" / "socket").read_text()) as redis:
                return await _measured(plan, server, port, calls, seconds, speech, redis)


async def _measured(
    plan: Plan, server: psutil.Process, port: int, calls: int, seconds: float, speech: Path, redis: Redis
) -> Stage:
    before_bytes = server.memory_info().rss
    async with callers(port, calls, seconds, speech) as written:
        print(f"measuring process {server.pid}", file=sys.stderr, flush=True)
        started, before = cpu_s(server), await redis.info("stats")
        await asyncio.sleep(seconds)
        used, after = cpu_s(server) - started, await redis.info("stats")
        memory = server.memory_info().rss - before_bytes
    stage = evaluate(calls, written, plan.planned_ms, used, seconds, memory / 1e6)
    commands, taken = (
        (after[name] - before[name]) / (calls * seconds)
        for name in ("total_commands_processed", "total_net_input_bytes")
    )
    return replace(stage, redis_commands_per_call_second=round(commands, 2), redis_bytes_per_call_second=round(taken))


@asynccontextmanager
async def callers(port: int, calls: int, seconds: float, speech: Path) -> AsyncIterator[list[dict[str, Any]]]:
    """``calls`` callers (:mod:`benchmarks.density_client`) beside the first core. Entered when all are up and have
    asked; what they wrote is in the list once it is left."""
    shares = [len(range(n, calls, -(-calls // CALLS_A_CLIENT))) for n in range(-(-calls // CALLS_A_CLIENT))]
    clients, outs = [], []
    for number, share in enumerate(shares):
        outs.append(speech.with_name(f"{number}.json"))
        options = {
            "--port": port, "--calls": share, "--first": number * CALLS_A_CLIENT, "--seconds": seconds,
            "--speech": speech, "--out": outs[-1],
        }  # fmt: skip
        command = ["-m", "benchmarks.density_client", *(str(part) for pair in options.items() for part in pair)]
        process = await asyncio.create_subprocess_exec(
            sys.executable, *command, stdout=asyncio.subprocess.PIPE, cwd=ROOT
        )
        pin(psutil.Process(process.pid), first=False)
        clients.append(process)
    for process in clients:
        assert process.stdout is not None
        await process.stdout.readline()
    written: list[dict[str, Any]] = []
    yield written
    for process in clients:
        if await process.wait():
            raise RuntimeError(f"a client ended with {process.returncode}")
    written += [json.loads(out.read_bytes()) for out in outs]


def pin(process: psutil.Process, *, first: bool) -> None:
    """The server alone on the first core, with all its threads; its Redis and everybody else beside it."""
    cores = list(range(psutil.cpu_count() or 1))
    if len(cores) < 2:
        return
    for thread in process.threads():
        os.sched_setaffinity(thread.id, cores[:1] if first else cores[1:])
    if first:
        for child in process.children(recursive=True):
            pin(child, first=False)


def cpu_s(process: psutil.Process) -> float:
    """User and system time of it."""
    times = process.cpu_times()
    return float(times.user + times.system)


def main(
    calls: Annotated[int, typer.Option(min=1, help="At once; with --ramp also the step.")] = 100,
    seconds: Annotated[float, typer.Option(min=5, help="Measured, once all calls are up.")] = 30.0,
    ramp: Annotated[bool, typer.Option(help="More and more calls, until it is enough.")] = False,
    speculate: Annotated[bool, typer.Option()] = True,
    vad: Annotated[Vad, typer.Option()] = Vad.SILERO,
    against: Annotated[
        Path | None, typer.Option(help="Another checkout, measured alternately in the same run.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1)] = 1,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all results here.")] = None,
) -> None:
    """Measure CPU a call-second, and with --ramp the calls that a core carries."""
    machine, console, stages = this_machine(), Console(), []
    plan = Plan(Latencies(), 250, speculate, vad)
    for _ in range(rounds):
        stage_calls = calls
        while True:
            stage = uvloop.run(measure(plan, stage_calls, seconds, ROOT))
            stages.append(stage)
            show(console, stage)
            if against is not None:
                other = uvloop.run(measure(plan, stage_calls, seconds, against.resolve()))
                show(console, other, str(against))
                console.print(f"CPU {stage.cpu_ms_per_call_second / other.cpu_ms_per_call_second:.2f} of {against}")
            if not ramp or not stage.holds:
                break
            stage_calls += calls
    settings = {"calls": calls, "seconds": seconds, "ramp": ramp, "planned_ms": plan.planned_ms, "plan": plan}
    write_results(json_file, machine, settings=settings, stages=stages)


def show(console: Console, stage: Stage, name: str = "") -> None:
    """One stage as a table."""
    table = Table(title=f"{stage.calls} calls {name}", title_justify="left", show_header=False)
    table.add_row("CPU ms per call-second", f"{stage.cpu_ms_per_call_second} ({stage.core_share:.0%} of its core)")
    if stage.overhead_ms is not None:
        spread_ = stage.overhead_ms
        table.add_row("overhead ms", f"median {spread_.median}, p95 {spread_.p95}, worst {spread_.worst}")
    table.add_row("gap ms", f"p95 {stage.gap_p95_ms}, p99.9 {stage.gap_p999_ms}")
    table.add_row("underruns", f"{stage.underruns} of {stage.replies} replies; {stage.unanswered} unanswered")
    table.add_row("memory per call", f"{stage.memory_mb_per_call} MB")
    table.add_row("failures", f"{len(stage.failures)} {stage.failures[:2]}")
    late = stage.send_lateness_ms
    if late is not None:
        table.add_row("callers late ms", f"p99 {late.p99}")
    console.print(table)
    if late is not None and late.p99 > LATE_MS:
        console.print(f"[red]The callers are the bottleneck:[/] their own frames left {late.p99:.1f} ms late (p99).")


if __name__ == "__main__":
    typer.run(main)
