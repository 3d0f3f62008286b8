"""The orderly end of a process with calls in progress: let them end, then let them move at a turn boundary.

A call that is told to move loses nothing: its state is in Redis, its client reconnects to another process and resumes.
At a turn boundary nobody is cut short in mid-word.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from gateway.admission import Admission
from gateway.close_codes import CloseCode
from gateway.config import DrainConfig
from gateway.parts import GatewayParts
from gateway.websocket.ending import Ending

MOVING: Final = Ending(CloseCode.GOING_AWAY, "this process shuts down; resume the call", "detach")
_LOOK_EVERY_S: Final = 0.05
_TELL_S: Final = 0.1
"""From the notice to the closing of its connection: the notice is stored and sent first."""

_log = structlog.get_logger(__name__)


def letting_go(admission: Admission) -> Middleware:
    """While a process drains, each answer is the last one on its HTTP connection: a balancer that spreads connections
    would lead a client that keeps its own to the process that refuses it, until that ends."""

    @web.middleware
    async def let_go(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        if admission.draining and not response.prepared:
            response.force_close()
        return response

    return let_go


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
            if not parts.calls.at_boundary(session_id):
                continue  # also one that was told: a key or a word of this moment would be lost with its process
            if session_id not in told:
                told[session_id] = now()
                parts.calls.tell(session_id, "moving", "this process shuts down: reconnect and resume the call")
            elif now() - told[session_id] >= _TELL_S:
                leaving.leave(MOVING)
        await sleep(_LOOK_EVERY_S)
    _log.info("drained", moved=len(told), left=len(parts.connections), seconds=round(now() - began, 1))
