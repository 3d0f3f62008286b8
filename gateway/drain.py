"""The orderly end of a process with calls in progress: let them end, then let them move at a turn boundary.

A call that is told to move loses nothing: its state is in Redis, its client reconnects to another process and resumes.
At a turn boundary nobody is cut short in mid-word.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from gateway.close_codes import CloseCode
from gateway.config import DrainConfig
from gateway.parts import GatewayParts
from gateway.websocket.ending import Ending

MOVING: Final = Ending(CloseCode.GOING_AWAY, "this process shuts down; resume the call", "detach")
_LOOK_EVERY_S: Final = 0.05
_TELL_S: Final = 0.1
"""From the notice to the closing of its connection: the notice is stored and sent first."""

_log = structlog.get_logger(__name__)


async def drain(
    parts: GatewayParts, config: DrainConfig, *, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
) -> None:
    """Take no new calls from now on; return when no connection is left, or all patience is used up."""
    parts.admission.draining = True
    now = parts.clock.monotonic
    began = now()
    _log.info("draining", connections=len(parts.connections), patience_s=config.patience_s)
    while len(parts.connections) and now() - began < config.patience_s:
        await sleep(_LOOK_EVERY_S)
    until, told = now() + config.boundary_s, dict[str, float]()
    while len(parts.connections) and now() < until:
        for session_id, leaving in parts.connections.holders():
            if session_id in told:
                if now() - told[session_id] >= _TELL_S:
                    leaving.leave(MOVING)
            elif parts.calls.at_boundary(session_id):
                told[session_id] = now()
                parts.calls.tell(session_id, "moving", "this process shuts down: reconnect and resume the call")
        await sleep(_LOOK_EVERY_S)
    _log.info("drained", moved=len(told), left=len(parts.connections), seconds=round(now() - began, 1))
