"""Processes that stand still: what a machine looks like that hangs, which is worse than one that is gone."""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

import psutil

from tests.integration.control_api.api import Got, World

QUICK_S = 1.0
"""Far below any time limit, so far above what an answer takes."""


def postmaster(directory: Path) -> int:
    """Process id of the embedded PostgreSQL of this folder."""
    return int((directory / "data" / "postmaster.pid").read_text().splitlines()[0])


def redis_server(directory: Path) -> int:
    """Process id of the embedded Redis of this folder."""
    return int((directory / "redis.pid").read_text())


@contextlib.contextmanager
def standing_still(pid: int) -> Iterator[None]:
    """The process and its children do nothing meanwhile."""
    parent = psutil.Process(pid)
    parent.send_signal(signal.SIGSTOP)  # first, so that it makes no more children
    family = [parent, *parent.children(recursive=True)]
    for each in family[1:]:
        each.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for each in reversed(family):
            with contextlib.suppress(psutil.NoSuchProcess):
                each.send_signal(signal.SIGCONT)


async def until(condition: Callable[[], Awaitable[bool]], within_s: float = 15.0) -> None:
    async with asyncio.timeout(within_s):
        while not await condition():
            await asyncio.sleep(0.05)


async def equal(found: Awaitable[Sequence[str]], wanted: Sequence[str]) -> bool:
    return list(await found) == list(wanted)


async def degraded(world: World) -> list[str]:
    """What ``/health`` says is away."""
    body = (await world.anybody().get("/health")).body
    return [each["code"] for each in body.get("degraded", [])]


async def timed(asking: Awaitable[Got]) -> Got:
    async with asyncio.timeout(QUICK_S):
        return await asking
