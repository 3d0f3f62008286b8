"""Passes notifications on to the clients of this process: one reader of Redis, whoever listens.

Each process reads the streams of those organisations whose clients it has, so it does not matter which process has
which client. A client that does not keep up is dropped; the others do not notice.
"""

import asyncio
from dataclasses import dataclass, field
from uuid import UUID

import structlog

from sessions.notifications import NoticeBoard, Told
from voicegate.kernel.errors import StateUnavailable

QUEUE = 256
"""Notifications that wait for a client at most."""
_WAIT_MS = 100
_RETRY_S = 0.5
_log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class Subscription:
    """One client's."""

    organization_id: str
    caller: str
    waiting: asyncio.Queue[Told] = field(default_factory=lambda: asyncio.Queue(QUEUE))
    too_slow: bool = False
    """It has missed something: it must come back and ask for it."""

    def offer(self, told: Told) -> None:
        try:
            self.waiting.put_nowait(told)
        except asyncio.QueueFull:
            self.too_slow = True


class Hub:
    def __init__(self, board: NoticeBoard) -> None:
        """``board``: of a client of its own, for it waits in it."""
        self.board = board
        self._listeners: dict[str, set[Subscription]] = {}
        self._positions: dict[str, str] = {}
        self._anybody = asyncio.Event()

    def count(self, organization_id: UUID, caller: str) -> int:
        """Connections that this caller has."""
        return sum(each.caller == caller for each in self._listeners.get(str(organization_id), ()))

    async def join(self, organization_id: UUID, caller: str) -> Subscription:
        """What comes from now on is offered to it.

        Raises:
            StateUnavailable: Redis is away.
        """
        name = str(organization_id)
        if name not in self._positions:
            newest = await self.board.newest(name)
            self._positions.setdefault(name, newest)
        subscription = Subscription(name, caller)
        self._listeners.setdefault(name, set()).add(subscription)
        self._anybody.set()
        return subscription

    def leave(self, subscription: Subscription) -> None:
        """Nothing more is offered to it."""
        name = subscription.organization_id
        listeners = self._listeners.get(name, set())
        listeners.discard(subscription)
        if not listeners:
            self._listeners.pop(name, None)
            self._positions.pop(name, None)
        if not self._listeners:
            self._anybody.clear()

    async def run(self) -> None:
        """Read and pass on, for ever."""
        while True:
            await self._anybody.wait()
            try:
                await self._round()
            except StateUnavailable:
                await asyncio.sleep(_RETRY_S)
            except Exception:
                # Whatever it is, it must not take the API down, nor the gateway that may run beside it.
                _log.exception("notifications not read")
                await asyncio.sleep(_RETRY_S)

    async def _round(self) -> None:
        for name, found in (await self.board.wait(dict(self._positions), _WAIT_MS)).items():
            if name in self._positions:
                self._positions[name] = found[-1].id
            for subscription in self._listeners.get(name, ()):
                for told in found:
                    subscription.offer(told)
