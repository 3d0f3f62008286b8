"""Holds: what is set aside for one call. Every function works on books that are open (:mod:`ledger`).

``held_micro`` is all that was ever set aside for the call, ``used_micro`` what it has cost; the difference is in the
account ``held``, for open holds. What a call costs beyond that is paid at once, and raises both. A hold that is closed
has nothing left: what comes late is paid in the same way.
"""

from datetime import datetime
from typing import Literal
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from control_api.credits import accounts
from control_api.credits.ledger import Books
from control_api.db.models.ledger import CreditHold


def left_micro(hold: CreditHold) -> int:
    return hold.held_micro - hold.used_micro


def open_hold(
    session: AsyncSession,
    books: Books,
    session_id: str,
    agent_id: UUID,
    wanted_micro: int,
    *,
    created_at: datetime,
    began_at: datetime | None = None,
    created_by: UUID | None = None,
) -> CreditHold:
    """Set aside as much of ``wanted_micro`` as there is. ``began_at``: the call has begun."""
    hold = CreditHold(
        id=uuid4(),
        organization_id=books.organization_id,
        session_id=session_id,
        began_at=began_at,
        agent_id=agent_id,
        state="open",
        held_micro=0,
        used_micro=0,
        created_at=created_at,
    )
    session.add(hold)
    fill(books, hold, wanted_micro, created_by=created_by)
    return hold


def fill(books: Books, hold: CreditHold, wanted_micro: int, *, created_by: UUID | None = None) -> None:
    """Set more aside, if the hold is half used up."""
    more = accounts.top_up(left=left_micro(hold), wanted=wanted_micro, available=books.balance("available"))
    hold.held_micro += more
    books.move("hold", accounts.hold(more), hold_id=hold.id, created_by=created_by)


def spend(books: Books, hold: CreditHold, cost_micro: int) -> None:
    """What the call has cost; it is booked in any case."""
    paid = accounts.charge(cost_micro, left=left_micro(hold), available=books.balance("available"))
    hold.held_micro += paid.beyond_hold
    hold.used_micro += cost_micro
    books.move("usage", paid.lines, hold_id=hold.id)


def close_hold(books: Books, hold: CreditHold, state: Literal["settled", "released"], at: datetime) -> None:
    """Give back what is left, once. ``settled``: the call said that it is over; ``released``: it is gone."""
    if hold.state != "open":
        return
    left = left_micro(hold)
    hold.state, hold.settled_at = state, at
    hold.held_micro = hold.used_micro
    books.move("settle" if state == "settled" else "release", accounts.give_back(left), hold_id=hold.id)


def open_again(hold: CreditHold) -> None:
    """The call was taken for dead and goes on."""
    hold.state, hold.settled_at = "open", None
