"""How many browser calls a core holds, and what a second of one costs, beside aiortc as it is in the same run.

``python -m benchmarks.webrtc [--calls 20 --calls 60 …] [--compare-up-to 20] [--seconds 20] [--json FILE]``

Two servers, one after the other for each number of calls that plain aiortc can hold: the gateway with all of its
pipeline on engines of known latency (:mod:`benchmarks.server`: real Silero, journal in a real Redis), and an echo on
plain aiortc (:mod:`benchmarks.webrtc_plain`), which has none of that. Each is held on one core, the callers
(:mod:`benchmarks.webrtc_caller`) on another. Other work on the same cores shows in the gaps; let the scheduler prefer
this run where the machine is shared (``chrt -r 5`` before the command). Definitions:

``CPU``
    User and system time of the server's process over the measured stretch, divided by the seconds of all calls.
``gap``
    Between two packets of the agent that reach a caller one after the other; 20 ms if nothing is ever late.
``unheard``
    Packets that were due in that time (one each 20 ms a call) and did not come.
"""

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import aiohttp
import psutil
import typer
import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks.corpus import QUESTIONS, embedded_voice, say
from benchmarks.gateway_process import RunningGateway, gateway
from benchmarks.machine import this_machine
from benchmarks.results import write_results
from benchmarks.statistics import Spread, spread
from benchmarks.webrtc_caller import Caller, encoded
from gateway.metronome import Metronome
from gateway.webrtc.certificate import Certificates
from voicegate.kernel.audio import FRAME_MS
from voicegate.kernel.clock import SystemClock
from voicegate.kernel.telemetry import NoTelemetry

GATEWAY = "voicegate"
PLAIN = "plain aiortc"
_MODULES = {GATEWAY: "benchmarks.server", PLAIN: "benchmarks.webrtc_plain"}
_PAUSE_S = 8.0
"""After each utterance: the agent answers, and then nobody speaks."""
_SETTLE_S = 3.0
_APART_S = 0.1
"""Between the beginnings of two calls: one address may not call more often."""


@dataclass(frozen=True, slots=True)
class Load:
    """One server under a number of calls."""

    server: str
    calls: int
    cpu_ms_per_call_second: float
    core_percent: float
    gap_ms: Spread | None
    unheard_percent: float
    caller_core_percent: float
    """Of the callers' own core: near 100 the bench measures itself."""


def pin(core: int) -> None:
    """Hold this process, and what it starts from now on, on one core."""
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, {core})


def preferred() -> bool:
    """This run goes before everything else on the machine."""
    return hasattr(os, "sched_getscheduler") and os.sched_getscheduler(0) in (os.SCHED_RR, os.SCHED_FIFO)


async def connect(callers: Sequence[Caller], http: aiohttp.ClientSession, url: str) -> None:
    """Set all calls up, one after the other, without waiting for each other."""
    async with asyncio.TaskGroup() as group:
        for caller in callers:
            group.create_task(caller.connect(http, url))
            await asyncio.sleep(_APART_S)


async def hold(server: str, running: RunningGateway, voice: list[bytes], calls: int, seconds: float) -> Load:
    """Hold ``calls`` calls, each somewhere else in what it says, and measure ``seconds`` of them."""
    url = running.url.replace("ws://", "http://")
    credentials = Certificates(SystemClock()).newest()
    starts = [len(voice) * number // calls for number in range(calls)]
    callers = [Caller(credentials, voice[at:] + voice[:at], 1_000 + number) for number, at in enumerate(starts)]
    metronome = Metronome(SystemClock(), NoTelemetry())
    async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as group:
        clock = group.create_task(metronome.run())
        await connect(callers, http, url)
        for caller in callers:
            metronome.join(caller.tick)
        await asyncio.sleep(_SETTLE_S)
        assert running.pid is not None
        began, before, own = time.perf_counter(), _cpu_s(running.pid), time.process_time()
        await asyncio.sleep(seconds)
        ended, after, own = time.perf_counter(), _cpu_s(running.pid), time.process_time() - own
        for caller in callers:
            await caller.hang_up(http, url)
        clock.cancel()
    took = ended - began
    gaps = [gap for caller in callers for gap in caller.gaps_ms(began, ended)]
    due = calls * took * 1000 / FRAME_MS
    return Load(
        server=server,
        calls=calls,
        cpu_ms_per_call_second=round((after - before) * 1000 / (calls * took), 2),
        core_percent=round(100 * (after - before) / took, 1),
        gap_ms=spread(gaps),
        unheard_percent=round(100 * max(0.0, 1 - (len(gaps) + calls) / due), 2),
        caller_core_percent=round(100 * own / took, 1),
    )


async def measure(calls: Sequence[int], seconds: float, compare_up_to: int) -> list[Load]:
    """The gateway with each number of calls, and plain aiortc where it is not too many for it."""
    samples, _ = await say(embedded_voice(), QUESTIONS[0])
    voice = encoded(samples, _PAUSE_S)
    loads = []
    for count in calls:
        for server in (GATEWAY, PLAIN) if count <= compare_up_to else (GATEWAY,):
            pin(0)
            async with gateway(None, module=_MODULES[server]) as running:
                pin(1)
                loads.append(await hold(server, running, voice, count, seconds))
    return loads


def ratios(loads: Sequence[Load]) -> dict[int, float]:
    """The gateway's CPU as a part of plain aiortc's, by number of calls, where both were measured."""
    cost = {(each.server, each.calls): each.cpu_ms_per_call_second for each in loads}
    both = [count for server, count in cost if server == PLAIN and (GATEWAY, count) in cost]
    return {count: round(cost[GATEWAY, count] / cost[PLAIN, count], 3) for count in both}


def _cpu_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def main(
    calls: Annotated[list[int] | None, typer.Option(min=1, help="Held at once; may be given several times.")] = None,
    seconds: Annotated[float, typer.Option(min=1, help="Measured of each.")] = 20.0,
    compare_up_to: Annotated[int, typer.Option(min=0, help="Calls that plain aiortc is measured with at most.")] = 20,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all results here.")] = None,
) -> None:
    """Measure CPU and gaps of browser calls."""
    machine = this_machine()
    loads = uvloop.run(measure(calls or [20, 60, 80], seconds, compare_up_to))
    console = Console()
    console.print(_table(loads))
    for count, ratio in ratios(loads).items():
        console.print(f"{count} calls: {100 * ratio:.0f} % of plain aiortc's CPU")
    settings = {"seconds": seconds, "pause_s": _PAUSE_S, "compare_up_to": compare_up_to, "preferred": preferred()}
    write_results(json_file, machine, settings=settings, loads=loads, ratios=ratios(loads))


def _table(loads: Sequence[Load]) -> Table:
    table = Table(title="One core of browser calls", title_justify="left")
    for name in ("server", "calls", "CPU ms", "core %", "gap p95", "gap p99", "unheard %", "bench %"):
        table.add_column(name)
    for each in loads:
        p95, p99 = (str(each.gap_ms.p95), str(each.gap_ms.p99)) if each.gap_ms else ("–", "–")
        numbers = (each.calls, each.cpu_ms_per_call_second, each.core_percent)
        rest = (each.unheard_percent, each.caller_core_percent)
        table.add_row(each.server, *map(str, numbers), p95, p99, *map(str, rest))
    return table


if __name__ == "__main__":
    typer.run(main)
