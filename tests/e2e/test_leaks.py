"""Calls that end in every way leave nothing behind: no task, no descriptor, no key without an expiry, no object.

Short; ``make soak`` does the same with hundreds of calls, the product's own engines and a look at the memory.
"""

import asyncio
import gc
import itertools
import os
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import psutil
from redis.asyncio import Redis

from audiocodecs.wav import encode_wav
from benchmarks.server import Vad, open_simulated
from benchmarks.simulated import Latencies, tone
from gateway.websocket.full import FullDriver
from gateway.websocket.simple import SimpleDriver
from pipeline.reply import ReplyRun
from pipeline.session import Session
from tests.e2e.here import Here, serving
from tests.e2e.wire import Wire, wire
from voicegate.call import Call
from voicegate.kernel.ids import new_session_id

IN_SEQUENCE, AT_ONCE = 60, 20
_TONE = encode_wav(tone(0.5, 16_000), 16_000)
QUICK = Latencies(stt_ms=5, ttft_ms=5, tokens=12, token_ms=1, tts_ms=5)
OURS = (Session, Call, ReplyRun, FullDriver, SimpleDriver)
_peers = (f"127.0.{n // 250 + 1}.{n % 250 + 1}" for n in itertools.count())


async def _talk(client: Wire) -> str:
    """Start, ask, hear the beginning of the answer; returns the resume secret."""
    await client.send("session.start", greeting=False)
    secret = str((await client.first("session.welcome"))["resumeSecret"])
    await client.send("text", text="Are you there?")
    await client.until(lambda: len(client.audio) > 3)
    return secret


async def hung_up(here: Here) -> None:
    async with wire(here.url, new_session_id(), next(_peers)) as client:
        await _talk(client)
        await client.send("session.end")
        assert await client.closed() == 1000


async def vanished(here: Here) -> None:
    async with wire(here.url, new_session_id(), next(_peers)) as client:
        await _talk(client)
        client.socket.transport.abort()


async def killed_in_set_up(here: Here) -> None:
    async with wire(here.url, new_session_id(), next(_peers)) as client:
        await client.send("session.start")
        client.socket.transport.abort()


async def resumed(here: Here) -> None:
    session_id = new_session_id()
    async with wire(here.url, session_id, next(_peers)) as client:
        secret = await _talk(client)
        client.socket.transport.abort()
    async with wire(here.url, session_id, next(_peers)) as client:
        await client.send("session.resume", lastSeq=1, secret=secret)
        await client.first("session.welcome")
        await client.send("session.end")
        assert await client.closed() == 1000


async def uploaded(here: Here) -> None:
    """The simple profile: a file, the first clip, gone."""
    async with wire(here.url, new_session_id(), next(_peers), full=False) as client:
        await client.socket.send(_TONE)
        await client.until(lambda: bool(client.audio))


async def refused(here: Here) -> None:
    async with wire(here.url, new_session_id(), next(_peers)) as client:
        await client.socket.send("{not json")
        assert await client.closed() == 1007


FATES: tuple[Callable[[Here], Awaitable[None]], ...] = (
    hung_up,
    vanished,
    killed_in_set_up,
    resumed,
    uploaded,
    refused,
)


async def _quiet(here: Here, earlier: frozenset[int]) -> None:
    """All calls have ended, those that nobody came back to as well."""
    until = asyncio.get_running_loop().time() + 15
    while here.running.calls.live or _alive(earlier):
        assert asyncio.get_running_loop().time() < until, (here.running.calls.live, _alive(earlier))
        await asyncio.sleep(0.2)
        gc.collect()


def _alive(earlier: frozenset[int] = frozenset()) -> Counter[str]:
    """Our objects, by type, without those that stood before the test."""
    return Counter(type(each).__name__ for each in _ours() if id(each) not in earlier)


def _ours() -> list[object]:
    return [each for each in gc.get_objects() if isinstance(each, OURS)]


def _held() -> dict[str, int]:
    process = psutil.Process(os.getpid())
    redis = len(process.net_connections("unix"))
    fds, tasks = process.num_fds() - redis, len(asyncio.all_tasks())
    return {"tasks": tasks, "fds": fds, "redis": redis, "threads": threading.active_count()}


async def test_calls_leave_nothing_behind(tmp_path: Path) -> None:
    gc.collect()
    kept = _ours()  # of other tests of this process; held, so that their ids are not used again
    earlier = frozenset(map(id, kept))
    async with AsyncExitStack() as stack:
        engines = await open_simulated(QUICK, Vad.ENERGY, stack)
        here = await stack.enter_async_context(serving(tmp_path, engines, resume_s=0.5, retention_s=3600))
        await asyncio.gather(*(FATES[n % len(FATES)](here) for n in range(AT_ONCE)))  # pools grow to their size once
        await _quiet(here, earlier)
        before, began = _held(), time.monotonic()
        for n in range(IN_SEQUENCE):
            await FATES[n % len(FATES)](here)
        await _quiet(here, earlier)
        between, took = _held(), time.monotonic() - began
        await asyncio.gather(*(FATES[n % len(FATES)](here) for n in range(AT_ONCE)))
        await _quiet(here, earlier)
        after = _held()
        forever = await _keys_without_expiry(here)
    print(f"\nbefore {before}, after {IN_SEQUENCE} calls in {took:.1f} s {between}, after {AT_ONCE} at once {after}")
    assert _alive(earlier) == Counter()
    assert forever == []
    for name in before:
        assert between[name] <= before[name] + 1, name
        # A pool keeps as many connections as calls once needed at the same time.
        assert after[name] <= before[name] + (AT_ONCE if name == "redis" else 1), name


async def _keys_without_expiry(here: Here) -> list[bytes]:
    async with Redis.from_url(here.running.redis_url) as client:
        keys = [key async for key in client.scan_iter()]
        assert len(keys) > IN_SEQUENCE
        return [key for key in keys if await client.ttl(key) == -1]
