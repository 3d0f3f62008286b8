"""Thousands of calls that end in every way, and what they leave behind.

``python -m benchmarks.mixed_fates [--calls 5000] [--at-once 60] [--json FILE]``

:mod:`benchmarks.server` with short simulated stages, real voice activity and a Redis of its own is called by WebSocket,
by Twilio (webhook and media stream) and by WebRTC; the calls go as :mod:`benchmarks.fates` says. The first fifth, which
begins with a rush, fills caches and pools. From then on, at six quiet moments, the process is asked (``/metrics``) for
what it holds.

``memory``
    The slope of resident memory over the calls, by least squares over the quiet moments.
``threads``, ``descriptors``, ``tasks``
    At the end against the first quiet moment: exactly back, or fewer. A quiet moment is when no connection is left (a
    caller by WebRTC who vanished is waited for), and they have not moved for some seconds.
``keys``
    In Redis, against the beginning. Sessions stay for VOICEGATE_RETENTION_S (60 s here) so that they can be resumed and
    read; that time is awaited, and then nothing may be left, with or without expiry.
"""

import asyncio
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Annotated

import aiohttp
import numpy as np
import typer
import uvloop
from prometheus_client.parser import text_string_to_metric_families
from redis.asyncio import Redis
from rich.console import Console
from rich.table import Table

from benchmarks.corpus import QUESTIONS, embedded_voice, say
from benchmarks.fates import NotAnswered, Place, call, plan
from benchmarks.gateway_process import gateway
from benchmarks.machine import this_machine
from benchmarks.overhead import Plan
from benchmarks.results import write_results
from benchmarks.simulated import Latencies
from benchmarks.webrtc_caller import encoded
from gateway.webrtc.certificate import Certificates
from voicegate.client.connection import CallFailed
from voicegate.kernel.clock import SystemClock

LIMIT_BYTES = 2048.0
"""Of memory a call."""
_MOMENTS = 6
_WARM_SHARE = 0.2
_RUSH = 200
"""Calls at once in the beginning, so that the pools of connections to Redis are as large as they will ever be."""
_ADDRESSES = 60
"""That calls come from: a gateway bounds how often one may connect."""
_RETENTION_S, _RESUME_S = 60, 1
_STILL_S, _QUIET_S = 4, 120
_TRIES = 20


@dataclass(frozen=True, slots=True)
class Holdings:
    """What the process and its Redis hold at a quiet moment."""

    calls: int
    """Made so far."""
    memory_bytes: float
    descriptors: float
    threads: float
    tasks: float
    keys: int
    connections: float = 0.0
    """Open; a quiet moment has none."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The whole run."""

    bytes_a_call: float
    left: dict[str, float]
    """What there is more of at the end than at the first quiet moment."""
    fates: dict[str, int]
    """Calls, by kind and fate."""
    failed: dict[str, int]
    """Calls that did not go as planned, by why."""
    key_kinds: dict[str, int]
    """Keys that are left, by what they are."""

    @property
    def clean(self) -> bool:
        """Nothing was left behind."""
        return not self.left and self.bytes_a_call <= LIMIT_BYTES


def slope(moments: Sequence[Holdings]) -> float:
    """Bytes of memory a call, by least squares; 0 of fewer than two moments."""
    if len(moments) < 2:
        return 0.0
    calls, memory = ([float(getattr(each, name)) for each in moments] for name in ("calls", "memory_bytes"))
    return round(float(np.polyfit(calls, memory, 1)[0]), 1)


def evaluate(
    moments: Sequence[Holdings], keys: tuple[int, int], fates: Counter[str], failed: Counter[str], kinds: Counter[str]
) -> Outcome:
    """``keys``: at the beginning and, once what expires has expired, at the end."""
    first, last = moments[0], moments[-1]
    left = {
        name: getattr(last, name) - getattr(first, name)
        for name in ("descriptors", "threads", "tasks")
        if getattr(last, name) > getattr(first, name)
    }
    if keys[1] > keys[0]:
        left["keys"] = keys[1] - keys[0]
    return Outcome(slope(moments), left, dict(fates), dict(failed), dict(kinds) if keys[1] > keys[0] else {})


@dataclass(slots=True)
class Run:
    """A gateway and those who call it."""

    url: str
    places: list[Place]
    redis: Redis
    fates: Counter[str]
    failed: Counter[str]
    made: int = 0

    async def calls(self, count: int, at_once: int) -> None:
        """``count`` more calls."""
        numbers = iter(range(self.made, self.made + count))
        self.made += count
        async with asyncio.TaskGroup() as tasks:
            for _ in range(at_once):
                tasks.create_task(self._caller(numbers))

    async def _caller(self, numbers: Iterator[int]) -> None:
        for number in numbers:
            kind, fate = plan(number)
            self.fates[f"{kind} {fate}"] += 1
            if why := await self._tried(number):
                self.failed[f"{kind} {fate}: {why}"] += 1

    async def _tried(self, number: int) -> str:
        """Why it failed; a call that is told to come later does."""
        for _ in range(_TRIES):
            try:
                await call(*plan(number), self.places[number % len(self.places)])
            except aiohttp.ClientResponseError as error:
                if error.status not in (429, 503):
                    return f"refused with {error.status}"
                await asyncio.sleep(1.0)
            except (CallFailed, NotAnswered, aiohttp.ClientError, OSError) as error:
                return f"{type(error).__name__} {str(error)[:60]}"
            else:
                return ""
        return "always busy"

    async def quiet(self) -> Holdings:
        """What is held once it does not change any more, or after two minutes."""
        same, before = 0, await self.held()
        for _ in range(_QUIET_S):
            await asyncio.sleep(1.0)
            now = await self.held()
            moved = (now.tasks, now.descriptors, now.threads) != (before.tasks, before.descriptors, before.threads)
            same, before = 0 if moved or now.connections else same + 1, now
            if same >= _STILL_S:
                break
        return before

    async def held(self) -> Holdings:
        async with self.places[0].http.get(f"{self.url}/metrics") as answer:
            families = text_string_to_metric_families(await answer.text())
        values = {sample.name: sample.value for family in families for sample in family.samples if not sample.labels}
        return Holdings(
            self.made, values["process_resident_memory_bytes"], values["process_open_fds"],
            values["voicegate_threads"], values["voicegate_tasks"], await self.redis.dbsize(),
            values["voicegate_gateway_connections"],
        )  # fmt: skip

    async def kinds(self) -> Counter[str]:
        """The keys in Redis by the words of their names."""
        found: Counter[str] = Counter()
        async for key in self.redis.scan_iter(count=1000):
            parts = key.decode(errors="replace").split(":")
            found[":".join(part if len(part) < 14 and part.isalpha() else "*" for part in parts)] += 1
        return found


async def measure(calls: int, at_once: int, progress: Console) -> tuple[list[Holdings], Outcome]:
    """The whole run."""
    samples, _ = await say(embedded_voice(), QUESTIONS[0])
    voice, credentials = encoded(samples, 0.5), Certificates(SystemClock()).newest()
    settings = {
        "VOICEGATE_RETENTION_S": str(_RETENTION_S), "VOICEGATE_RESUME_S": str(_RESUME_S),
        "VOICEGATE_LOG_LEVEL": "warning", "VOICEGATE_MAX_CALLS": "1000", "VOICEGATE_LATE_MS": "0",
    }  # fmt: skip
    options = Plan(Latencies(stt_ms=5, ttft_ms=5, tokens=10, token_ms=1, tts_ms=5), 250).options()
    with tempfile.TemporaryDirectory(prefix="voicegate-fates-"):
        async with (
            gateway(None, module="benchmarks.server", options=options, settings=settings) as running,
            AsyncExitStack() as stack,
        ):
            assert running.data_dir is not None
            socket = (running.data_dir / "redis" / "socket").read_text()
            url, places, numbers = running.url.replace("ws", "http", 1), [], count(1)
            for number in range(_ADDRESSES):
                line = aiohttp.TCPConnector(local_addr=(f"127.0.5.{number + 1}", 0), force_close=True)
                http = await stack.enter_async_context(aiohttp.ClientSession(connector=line))
                places.append(Place(url, http, credentials, voice, numbers))
            redis = await stack.enter_async_context(Redis(unix_socket_path=socket))
            run = Run(url, places, redis, Counter(), Counter())
            return await _stretches(run, calls, at_once, progress)


async def _stretches(run: Run, calls: int, at_once: int, progress: Console) -> tuple[list[Holdings], Outcome]:
    keys = await run.redis.dbsize()
    warm = max(1, round(calls * _WARM_SHARE))
    rush = min(_RUSH, warm)
    await run.calls(rush, rush)
    await run.calls(warm - rush, at_once)
    moments = [await run.quiet()]
    for number in range(1, _MOMENTS):
        upto = warm + (calls - warm) * number // (_MOMENTS - 1)
        await run.calls(upto - run.made, at_once)
        moments.append(await run.quiet())
        progress.print(f"{run.made} calls, {sum(run.failed.values())} failed: {moments[-1]}")
    left = 0
    for _ in range(_RETENTION_S + 30):
        left = await run.redis.dbsize()
        if left <= keys:
            break
        await asyncio.sleep(1.0)
    return moments, evaluate(moments, (keys, left), run.fates, run.failed, await run.kinds())


def show(console: Console, moments: Sequence[Holdings], outcome: Outcome) -> None:
    """As a table."""
    table = Table(title="What the gateway holds at quiet moments", title_justify="left")
    for name in Holdings.__slots__:
        table.add_column(name.replace("_", " "), justify="right")
    for row in moments:
        table.add_row(*(f"{getattr(row, name):.0f}" for name in Holdings.__slots__))
    console.print(table)
    console.print(f"memory: {outcome.bytes_a_call:.0f} bytes a call; left behind: {outcome.left or 'nothing'}")
    console.print(f"keys left: {outcome.key_kinds or 'none'}")
    console.print(f"failed: {sum(outcome.failed.values())} of {sum(outcome.fates.values())} {outcome.failed or ''}")


def main(
    calls: Annotated[int, typer.Option(min=50)] = 5000,
    at_once: Annotated[int, typer.Option(min=1)] = 60,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all results here.")] = None,
) -> None:
    """Call in all ways; exit code 1 when something was left behind, 2 when one call in fifty did not go as planned."""
    machine, console = this_machine(), Console(width=140)
    moments, outcome = uvloop.run(measure(calls, at_once, console))
    show(console, moments, outcome)
    write_results(json_file, machine, settings={"calls": calls, "at_once": at_once}, moments=moments, outcome=outcome)
    if sum(outcome.failed.values()) > calls / 50:
        sys.exit(2)
    if not outcome.clean:
        sys.exit(1)


if __name__ == "__main__":
    typer.run(main)
