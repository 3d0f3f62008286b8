"""Frees holds whose call is dead. Never by age: by what Redis knows of the call.

A hold whose call has begun is free when the call's lease is gone, or belongs to a later call of the same session id.
The lease runs out by itself when its process has died. Two looks, some seconds apart, keep a lease that is just being
restored from counting as gone; who looked first is noted in Redis, so that it may be another process that looks again.
Were a hold freed wrongly all the same, nothing would be lost: the call's next usage opens it again, and what it uses
meanwhile is booked in any case.

A hold that was made with a session (``POST /agents/{id}/sessions``) waits for a call that can begin in one way only:
with the session's token. It is free when that can happen no more: the token has expired by the gateway's clock too, it
was not spent (a call that was let in and is not recorded yet has spent its token; a spent token is remembered for
longer than any call stands at the door, see :class:`sessions.notes.SharedNotes`), and there is no record of a call.
That time has passed is not the reason, it only makes the reason final.

While Redis is away nothing is known and nothing is freed; and when it comes back, owners of calls first get the time of
a lease to say that they are alive.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog
from sqlalchemy import select

from control_api.credits.charging import Charged
from control_api.credits.holds import close_hold
from control_api.credits.ledger import open_books
from control_api.db.database import Database
from control_api.db.models.ledger import CreditHold
from sessions.budget import BudgetShelf, Trace
from voicegate.kernel.clock import Clock
from voicegate.kernel.errors import StateUnavailable

TOKEN_LIFETIME_S: Final = 60
"""Of a session's token."""
SKEW_S: Final = 5.0
"""Clocks of a deployment may differ by so much."""
LOOK_EVERY_S: Final = 1.0
SURE_S: Final = 2.0
"""A call that shows no lease for so long is dead. With the time between two looks less than five seconds in all."""
_NOTED_S: Final = 6.0
"""How long the first look is remembered: what is seen missing again much later, is missing anew."""
_MOST = 10_000
_log = structlog.get_logger(__name__)


def token_id(session_id: str) -> str:
    """Of the one token that a session gets."""
    return f"session-{session_id}"


def is_dead(hold: CreditHold, trace: Trace, now: datetime) -> bool:
    """What one look tells."""
    ours = trace.created_at is not None and trace.agent == str(hold.agent_id)
    if hold.began_at is not None:
        return not (ours and trace.held and trace.created_at == hold.began_at)
    if ours:  # the call has begun, and its first event is not stored yet, or never will be
        return not trace.held
    expired = now >= hold.created_at + timedelta(seconds=TOKEN_LIFETIME_S + SKEW_S)
    return expired and not trace.token_spent


class Orphans:
    def __init__(self, database: Database, shelf: BudgetShelf, clock: Clock, lease_s: float) -> None:
        self._database, self._shelf, self._clock = database, shelf, clock
        self._lease_s = lease_s
        self._not_before_s = float("-inf")

    async def free(self) -> Charged:
        """One look; give back what belongs to nobody any more.

        Raises:
            StateUnavailable, DatabaseAway: nothing is known, nothing is freed.
        """
        wanted = select(CreditHold).where(CreditHold.state == "open").order_by(CreditHold.created_at).limit(_MOST)
        async with self._database.system() as session:
            holds = list(await session.scalars(wanted))
        try:
            dead = await self._surely_dead(holds)
        except StateUnavailable:
            self._not_before_s = self._clock.monotonic() + self._lease_s
            raise
        return await self._release(dead) if dead else Charged()

    async def _surely_dead(self, holds: Sequence[CreditHold]) -> list[CreditHold]:
        traces = await self._shelf.traces([(hold.session_id, token_id(hold.session_id)) for hold in holds])
        if self._clock.monotonic() < self._not_before_s:
            return []
        now = self._clock.utc()
        missing = [hold for hold, trace in zip(holds, traces, strict=True) if is_dead(hold, trace, now)]
        ages_s = await self._shelf.missing_s([str(hold.id) for hold in missing], _NOTED_S)
        return [hold for hold, age_s in zip(missing, ages_s, strict=True) if age_s >= SURE_S]

    async def _release(self, dead: Sequence[CreditHold]) -> Charged:
        freed, now = Charged(), self._clock.utc()
        async with self._database.system() as session:
            books = await open_books(session, {hold.organization_id for hold in dead})
            ids = [hold.id for hold in dead]
            again = select(CreditHold).where(CreditHold.id.in_(ids), CreditHold.state == "open")
            began_at = {hold.id: hold.began_at for hold in dead}
            for hold in await session.scalars(again):
                if hold.began_at != began_at[hold.id]:
                    continue  # its call's first event has come meanwhile
                close_hold(books[hold.organization_id], hold, "released", now)
                freed.over.append(hold.session_id)
                _log.info("hold freed", session_id=hold.session_id, called=hold.began_at is not None)
            for organization_id, each in books.items():
                await each.close()
                freed.available[organization_id] = each.balance("available")
        return freed
