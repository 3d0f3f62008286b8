"""What an API says whose services stand still."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from tests.integration.control_api.api import Got, World

QUICK_S = 1.75
"""Below any time limit, and far above what an answer takes."""


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
