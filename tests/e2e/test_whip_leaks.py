"""WebRTC calls that end in every way, some because their process is killed: nothing of them is left.

Short; ``python -m tests.e2e.test_whip_leaks`` does it with a hundred calls and prints what they left.
"""

import asyncio
import gc
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path

import psutil
import pytest

from benchmarks.server import Vad, open_simulated
from benchmarks.simulated import Latencies
from gateway.webrtc.call import WebRtcCall
from gateway.webrtc.channel import DataChannel
from gateway.webrtc.dtls import Dtls
from gateway.webrtc.events import EventsChannel
from gateway.webrtc.ice import Ice
from gateway.webrtc.peer import Peer
from pipeline.session import Session
from tests.e2e.here import Here, serving
from voicegate.call import Call

ROOT = Path(__file__).resolve().parents[2]
IN_SEQUENCE, KILLED = 24, (6,)
MANY_IN_SEQUENCE, MANY_KILLED = 80, (10, 10)
QUICK = Latencies(stt_ms=5, ttft_ms=5, tokens=12, token_ms=1, tts_ms=5)
OURS = (WebRtcCall, Peer, Ice, Dtls, DataChannel, EventsChannel, Call, Session)
RSS_BYTES = 24 * 2**20
"""What a hundred calls may leave: allocators keep some. A leak of one Opus coder a call would be as much."""


async def _callers(here: Here, count: int, fate: str) -> asyncio.subprocess.Process:
    paths = os.pathsep.join([str(ROOT), str(ROOT / "codecs")])
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.e2e.whip_caller", here.http, str(count), fate,
        stdout=asyncio.subprocess.PIPE, cwd=ROOT, env=os.environ | {"PYTHONPATH": paths},
    )  # fmt: skip


async def _part(here: Here, count: int) -> None:
    process = await _callers(here, count, "part")
    assert await process.wait() == 0


async def _kill(here: Here, count: int) -> float:
    """``count`` calls of one process, which is killed; returns how long the gateway took to notice all of them."""
    process = await _callers(here, count, "hold")
    assert process.stdout is not None
    assert (await process.stdout.readline()).split() == [b"up", str(count).encode()]
    calls = list(here.running.calls._calls.values())
    assert len([call for call in calls if call.attached]) == count
    process.kill()
    began = time.monotonic()
    await process.wait()
    while any(call.attached for call in calls):
        await asyncio.sleep(0.02)
        assert time.monotonic() - began < 10
    return time.monotonic() - began


async def _quiet(here: Here, earlier: frozenset[int]) -> None:
    until = asyncio.get_running_loop().time() + 15
    while here.running.calls.live or _alive(earlier):
        assert asyncio.get_running_loop().time() < until, (here.running.calls.live, _alive(earlier))
        await asyncio.sleep(0.2)
        gc.collect()


def _alive(earlier: frozenset[int]) -> Counter[str]:
    found = [each for each in gc.get_objects() if isinstance(each, OURS) and id(each) not in earlier]
    return Counter(type(each).__name__ for each in found)


def _held() -> dict[str, int]:
    process = psutil.Process(os.getpid())
    sockets, redis = len(process.net_connections("udp")), len(process.net_connections("unix"))
    return {
        "tasks": len(asyncio.all_tasks()),
        "fds": process.num_fds() - redis,  # a pool keeps as many connections as were once needed
        "udp": sockets,
        "threads": threading.active_count(),
        "rss": process.memory_info().rss,
    }


async def _leave_nothing(data_dir: Path, in_sequence: int, killed: tuple[int, ...]) -> None:
    gc.collect()
    kept = [each for each in gc.get_objects() if isinstance(each, OURS)]
    earlier = frozenset(map(id, kept))
    async with AsyncExitStack() as stack:
        engines = await open_simulated(QUICK, Vad.ENERGY, stack)
        here = await stack.enter_async_context(serving(data_dir, engines, resume_s=0.5, retention_s=3600))
        await _kill(here, max(killed))  # pools grow to their size once
        await _quiet(here, earlier)
        before, began = _held(), time.monotonic()
        noticed = [await _kill(here, count) for count in killed]
        await asyncio.gather(_part(here, in_sequence // 2), _part(here, in_sequence // 2))
        await _quiet(here, earlier)
        after = _held()
    print(f"\n{in_sequence + sum(killed)} calls in {time.monotonic() - began:.1f} s, killed ones noticed after "
          f"{[round(each, 2) for each in noticed]} s\nbefore {before}\nafter  {after}")  # fmt: skip
    assert _alive(earlier) == Counter()
    assert max(noticed) < 3.0, "two seconds, and a busy machine"
    for name in ("tasks", "fds", "udp", "threads"):
        assert after[name] <= before[name] + 1, name
    assert after["rss"] - before["rss"] < RSS_BYTES


@pytest.mark.slow
async def test_calls_leave_nothing_behind(tmp_path: Path) -> None:
    await _leave_nothing(tmp_path, IN_SEQUENCE, KILLED)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_leave_nothing(Path(folder), MANY_IN_SEQUENCE, MANY_KILLED))
