"""Follows the load of this process: sheds what callers miss least, tells them, and takes it back afterwards."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from gateway.load import NOTICES, LoadGauge, LoadLevel
from gateway.pace import Pace
from pipeline.allowance import Allowance
from voicegate.kernel.telemetry import Telemetry

_EVERY_S = 1.0

_log = structlog.get_logger(__name__)


class Told(Protocol):
    """Who is told: all running calls."""

    @property
    def live(self) -> int: ...

    def tell_all(self, code: str, message: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds so far: of the clock, of the event loop's thread on a core, of all threads together."""

    wall_s: float
    loop_s: float
    process_s: float
    cores: int = 1
    """That the process may use."""

    def busy_since(self, before: "Spent") -> float:
        """Share of the time in which the loop, or all cores together, had no rest: whichever is nearer to its end."""
        wall_s = max(self.wall_s - before.wall_s, 1e-3)
        return max(self.loop_s - before.loop_s, (self.process_s - before.process_s) / self.cores) / wall_s


def spent() -> Spent:
    """Now; call it in the event loop's thread."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Spent(time.monotonic(), time.thread_time(), time.process_time(), cores)


@dataclass(frozen=True, slots=True)
class Following:
    """What follows the load."""

    gauge: LoadGauge
    pace: Pace
    allowance: Allowance
    calls: Told
    sleep: Callable[[float], Awaitable[object]] = field(default=asyncio.sleep)
    spent: Callable[[], Spent] = field(default=spent)


async def follow_load(following: Following, telemetry: Telemetry) -> None:
    """Until cancelled: judge once a second."""
    shown = telemetry.gauge("voicegate_load_level", "What is shed: 0 nothing, to 4 all that can be")
    busy = telemetry.gauge("voicegate_busy_share", "Of its time, in which the loop or the cores had no rest")
    level, used = LoadLevel.NORMAL, following.spent()
    shown.set(level)
    following.pace.judge(0.0, 0, late=False)
    while True:
        await following.sleep(_EVERY_S)
        was, used = used, following.spent()
        share = used.busy_since(was)
        before, level = level, following.gauge.judge(share)
        busy.set(share)
        following.pace.judge(share, following.calls.live, late=following.gauge.late)
        if level is not before:
            shown.set(level)
            _shed(following, level)
            _log.warning("load level changed", load=level.name.lower(), before=before.name.lower())


def _shed(following: Following, level: LoadLevel) -> None:
    """Do without what the level says, and tell all calls."""
    allowance = following.allowance
    allowance.interims = allowance.recordings = level < LoadLevel.NO_INTERIMS
    allowance.doubts = level < LoadLevel.NO_DOUBTS
    allowance.speculation = level < LoadLevel.NO_SPECULATION
    following.calls.tell_all("load", NOTICES[level])
