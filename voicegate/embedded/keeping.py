"""Starts an embedded server again when it has died, for as long as somebody uses it."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from voicegate.kernel.errors import ConfigError

LOOK_EVERY_S = 0.5
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 10.0
_WELL_S = 30.0
"""A server that lived so long dies of something else than its start."""
_log = structlog.get_logger(__name__)


async def keep_running(name: str, lives: Callable[[], bool], start: Callable[[], Awaitable[bool]]) -> None:
    """For ever: look whether the server lives, and start it if not, sooner or later, by how often it dies.

    Several processes may do this for one server: ``start`` says whether it was needed or another one was quicker, and
    raises :class:`ConfigError` where it cannot.
    """
    loop = asyncio.get_running_loop()
    pause_s, began = _FIRST_PAUSE_S, loop.time() - _WELL_S
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        if await asyncio.to_thread(lives):
            continue
        if loop.time() - began >= _WELL_S:
            pause_s = _FIRST_PAUSE_S
        else:
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        began = loop.time()
        try:
            if await start():
                took_s = round(loop.time() - began, 2)
                _log.error("an embedded server had died and was started again", server=name, took_s=took_s)
        except ConfigError as error:
            _log.error("an embedded server has died and cannot be started", server=name, detail=str(error))
