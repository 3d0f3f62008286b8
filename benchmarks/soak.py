"""Whether calls leave anything behind.

``python -m benchmarks.soak [--calls 500] [--at-once 50] [--json FILE]``

A gateway in its own process, with the embedded engines and a Redis of its own, is called many times in sequence and
then many times at once. The calls end in every way: hung up, vanished without a goodbye, killed during set-up, a file
uploaded by a client that leaves after the first clip. Before, between and after, the process is asked (``/metrics``)
for its memory, file descriptors, threads and tasks, and Redis for keys that never expire. Exit code 1: something was
left.
"""

import asyncio
import os
import random
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
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

from audiocodecs.wav import encode_wav
from benchmarks.corpus import embedded_voice, say
from benchmarks.gateway_process import gateway
from benchmarks.machine import this_machine
from benchmarks.results import write_results
from voicegate.embedded.redis import RedisConfig, embedded_redis
from voicegate.kernel.audio import PIPELINE_RATE_HZ
from voicegate.kernel.ids import new_session_id

_WARM_UP_CALLS = 40
"""The first calls fill caches and pools; the slope is counted from there."""
_SETTLE_S = 20.0
_CALL_S = 20.0
_KIB_A_CALL = 8.0
"""Growth of memory a call that is taken for a leak. Below it the allocator's noise hides everything."""
_QUESTION = "What are your opening hours?"

Fate = Callable[[aiohttp.ClientSession, str, bytes], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Holdings:
    """What the process and its Redis hold at a quiet moment."""

    after_calls: int
    memory_kib: float
    descriptors: float
    threads: float
    tasks: float
    keys_without_expiry: int


async def _hang_up(http: aiohttp.ClientSession, address: str, wav: bytes) -> None:
    """Typed question, the answer's first audio, a proper goodbye."""
    async with http.ws_connect(address, protocols=("voice.v1",), max_msg_size=0) as socket:
        await socket.send_json({"type": "session.start", "greeting": False})
        await socket.send_json({"type": "text", "text": _QUESTION})
        await _first_audio(socket)
        await socket.send_json({"type": "session.end"})
        async for _ in socket:
            pass


async def _vanish(http: aiohttp.ClientSession, address: str, wav: bytes) -> None:
    """The line goes dead while the agent speaks."""
    socket = await http.ws_connect(address, protocols=("voice.v1",), max_msg_size=0)
    await socket.send_json({"type": "session.start"})
    await _first_audio(socket)
    line = socket._response.connection
    assert line is not None
    assert line.transport is not None
    line.transport.abort()


async def _die_in_set_up(http: aiohttp.ClientSession, address: str, wav: bytes) -> None:
    """Killed before anything was said, at a random moment."""
    socket = await http.ws_connect(address, protocols=("voice.v1",), max_msg_size=0)
    if random.random() < 0.5:
        await socket.send_json({"type": "session.start"})
    await socket.close(code=1001)


async def _upload(http: aiohttp.ClientSession, address: str, wav: bytes) -> None:
    """One WAV file, the first clip of the answer, gone."""
    async with http.ws_connect(address, max_msg_size=0) as socket:
        await socket.send_bytes(wav)
        await _first_audio(socket)


_FATES: tuple[Fate, ...] = (_hang_up, _hang_up, _upload, _vanish, _die_in_set_up)


async def _first_audio(socket: aiohttp.ClientWebSocketResponse) -> None:
    async for message in socket:
        if message.type is aiohttp.WSMsgType.BINARY:
            return
    raise AssertionError(f"the call ended without a word, with close code {socket.close_code}")


async def _calls(http: aiohttp.ClientSession, url: str, wav: bytes, count: int) -> int:
    """``count`` calls one after the other; how many failed."""
    failed = number = 0
    while number < count:
        try:
            async with asyncio.timeout(_CALL_S):
                await _FATES[number % len(_FATES)](http, f"{url}/voice/{new_session_id()}", wav)
            number += 1
        except aiohttp.WSServerHandshakeError as error:
            if error.status != 429:
                raise
            # One address may connect five times a second; the same call is tried again.
            await asyncio.sleep(float(error.headers["Retry-After"]) if error.headers else 1.0)
        except (TimeoutError, AssertionError, aiohttp.ClientError) as error:
            print(f"call {number}: {type(error).__name__} {error}", file=sys.stderr)
            failed, number = failed + 1, number + 1
    return failed


async def _crowd(http: aiohttp.ClientSession, url: str, wav: bytes, callers: int) -> int:
    """Each fate once by ``callers`` callers at the same time; how many calls failed."""
    return sum(await asyncio.gather(*(_calls(http, url, wav, len(_FATES)) for _ in range(callers))))


async def _settled(
    http: aiohttp.ClientSession, url: str, redis: Redis, after_calls: int, before: Holdings | None = None
) -> Holdings:
    """The holdings once they are back at what they were ``before``, or after half a minute."""
    for _ in range(int(_SETTLE_S)):
        await asyncio.sleep(1)
        now = await _holdings(http, url, redis, after_calls)
        if before is not None and now.tasks <= before.tasks and now.descriptors <= before.descriptors:
            break
    return now


async def _holdings(http: aiohttp.ClientSession, url: str, redis: Redis, after_calls: int) -> Holdings:
    async with http.get(url.replace("ws", "http", 1) + "/metrics") as answer:
        families = text_string_to_metric_families(await answer.text())
        values = {sample.name: sample.value for family in families for sample in family.samples if not sample.labels}
    forever = [key async for key in redis.scan_iter(count=1000) if await redis.ttl(key) == -1]
    return Holdings(
        after_calls,
        values["process_resident_memory_bytes"] / 1024,
        values["process_open_fds"],
        values["voicegate_threads"],
        values["voicegate_tasks"],
        len(forever),
    )


async def soak(calls: int, at_once: int) -> tuple[list[Holdings], int]:
    """The holdings after the warm-up, after the sequence and after the crowd; and how many calls failed."""
    samples, _ = await say(embedded_voice(), _QUESTION)
    wav = encode_wav(samples.astype(np.int16), PIPELINE_RATE_HZ)
    with tempfile.TemporaryDirectory(prefix="voicegate-soak-") as folder:
        async with embedded_redis(RedisConfig(directory=Path(folder))) as redis_url:
            os.environ.update(REDIS_URL=redis_url, VOICEGATE_RESUME_S="1", VOICEGATE_LOG_LEVEL="warning")
            redis = Redis.from_url(redis_url)
            async with gateway(None) as running, aiohttp.ClientSession() as http:
                # A crowd first: pools of connections and threads grow to their size once, and are no leak.
                failed = await _crowd(http, running.url, wav, at_once)
                failed += await _calls(http, running.url, wav, _WARM_UP_CALLS)
                done = at_once * len(_FATES) + _WARM_UP_CALLS
                found = [await _settled(http, running.url, redis, done)]
                failed += await _calls(http, running.url, wav, calls)
                found.append(await _settled(http, running.url, redis, done + calls, found[0]))
                failed += await _crowd(http, running.url, wav, at_once)
                found.append(await _settled(http, running.url, redis, done + calls + at_once * len(_FATES), found[0]))
            await redis.aclose()
    return found, failed


def leaks(found: list[Holdings]) -> list[str]:
    """What was left behind, in words."""
    first, sequence, last = found
    slope = (sequence.memory_kib - first.memory_kib) / (sequence.after_calls - first.after_calls)
    left = [
        f"{name}: {getattr(first, name):.0f} before, {getattr(last, name):.0f} after"
        for name in ("tasks", "descriptors")
        if getattr(last, name) > getattr(first, name) + 2
    ]
    if last.threads > first.threads + 8:  # pools of worker threads grow to their bound once
        left.append(f"threads: {first.threads:.0f} before, {last.threads:.0f} after")
    if slope > _KIB_A_CALL:
        left.append(f"memory grows by {slope:.1f} KiB a call")
    if last.keys_without_expiry > first.keys_without_expiry:
        left.append(f"{last.keys_without_expiry} Redis keys without expiry")
    return left


def main(
    calls: Annotated[int, typer.Option(min=10, help="Calls in sequence.")] = 500,
    at_once: Annotated[int, typer.Option(min=1, help="Callers at once, five calls each.")] = 50,
    json: Annotated[Path | None, typer.Option(help="Write all results here.")] = None,
) -> None:
    """Call many times and look for what is left."""
    machine = this_machine()
    found, failed = uvloop.run(soak(calls, at_once))
    table = Table(title="What the gateway holds at quiet moments")
    for name in ("after calls", "memory KiB", "descriptors", "threads", "tasks", "keys without expiry"):
        table.add_column(name, justify="right")
    for row in found:
        table.add_row(*(f"{getattr(row, name):.0f}" for name in Holdings.__slots__))
    Console().print(table)
    slope = (found[1].memory_kib - found[0].memory_kib) / (found[1].after_calls - found[0].after_calls)
    left = leaks(found)
    print(f"memory in the sequence: {slope:.2f} KiB a call; failed calls: {failed}")
    print("left behind: " + ("; ".join(left) or "nothing"))
    summary = {"kib_a_call": slope, "failed": failed, "leaks": left}
    write_results(json, machine, settings={"calls": calls, "at_once": at_once}, summary=summary, holdings=found)
    raise typer.Exit(1 if left else 0)


if __name__ == "__main__":
    typer.run(main)
