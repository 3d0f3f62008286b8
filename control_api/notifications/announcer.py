"""Brings what was noted in the outbox to the notice board in Redis, where all processes of the API find it."""

import asyncio
import contextlib
from collections.abc import Mapping
from uuid import UUID

import msgspec
import structlog
from sqlalchemy import delete, select

from control_api.db.database import Database, DatabaseAway
from control_api.db.models.bookkeeping import OutboxEntry
from control_api.notifications.facts import TOPIC
from sessions.notifications import NoticeBoard, Posted
from voicegate.kernel.clock import Clock
from voicegate.kernel.errors import StateUnavailable

_BATCH = 200
_EVERY_S = 1.0
_LOW_AGAIN_S = 3600.0
_log = structlog.get_logger(__name__)


class Announcer:
    def __init__(self, database: Database, board: NoticeBoard, clock: Clock, low_micro: int) -> None:
        """``low_micro``: with less than this, an organisation is told that its credits run out."""
        self._database, self._board, self._clock, self._low_micro = database, board, clock, low_micro
        self._wake = asyncio.Event()

    def soon(self) -> None:
        """There is something in the outbox."""
        self._wake.set()

    async def run(self) -> None:
        """Deliver what waits, for ever."""
        while True:
            self._wake.clear()
            try:
                while await self.deliver() == _BATCH:
                    pass
            except (StateUnavailable, DatabaseAway) as error:
                _log.warning("notifications wait", error=error.code)
                await asyncio.sleep(_EVERY_S)
            except Exception:
                # Whatever it is, it must not take the API down, nor the gateway that may run beside it.
                _log.exception("notifications failed")
                await asyncio.sleep(_EVERY_S)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), _EVERY_S)

    async def deliver(self) -> int:
        """Bring one batch; how many they were. A row is gone when it was told: one that was told by a process that died
        before it could say so, is not told again.

        Raises:
            StateUnavailable, DatabaseAway: the rows wait.
        """
        waiting = OutboxEntry.delivered_at.is_(None) & (OutboxEntry.topic == TOPIC)
        async with self._database.system() as session:
            wanted = select(OutboxEntry).where(waiting).order_by(OutboxEntry.id).limit(_BATCH).with_for_update()
            entries = list(await session.scalars(wanted))
            if entries:
                await self._board.put([_posted(entry) for entry in entries])
                await session.execute(delete(OutboxEntry).where(OutboxEntry.id.in_([each.id for each in entries])))
        return len(entries)

    async def of_credits(self, available: Mapping[UUID, int]) -> None:
        """Tell the organisations that have few credits left; each at most once an hour. Never raises: what calls use
        next says it again."""
        now = self._clock.utc().isoformat()
        low = [
            Posted(
                str(organization_id),
                f"credits.low:{organization_id}",
                _payload("credits.low", now, {"availableMicro": micro}),
                _LOW_AGAIN_S,
            )
            for organization_id, micro in available.items()
            if micro < self._low_micro
        ]
        if low:
            with contextlib.suppress(StateUnavailable):
                await self._board.put(low)


def _posted(entry: OutboxEntry) -> Posted:
    payload = _payload(entry.payload["kind"], entry.created_at.isoformat(), entry.payload["data"])
    return Posted(entry.key, f"outbox:{entry.id}", payload)


def _payload(kind: str, at: str, data: object) -> bytes:
    return msgspec.json.encode({"type": kind, "at": at, "data": data})
