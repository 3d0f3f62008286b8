"""Books what calls have used, in the transaction that keeps their conversations.

A usage event is booked where its row (hold, seq) is new, and its cost moves in the same transaction. So it does not
matter how often, in what order and by how many processes events are delivered, nor where one of them dies.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from control_api.conversations.keeping import Kept
from control_api.credits.config import CreditsConfig
from control_api.credits.holds import close_hold, fill, open_again, open_hold, spend
from control_api.credits.ledger import Books, open_books
from control_api.db.models.ledger import CreditHold, HoldUsage, UsageDay
from sessions.prices import cost_micro, milli

_ROWS = 1_000
"""In one statement, which has a limit of values."""
_BOOKED = (
    HoldUsage.hold_id,
    HoldUsage.organization_id,
    HoldUsage.stage,
    HoldUsage.provider,
    HoldUsage.unit,
    HoldUsage.quantity,
    HoldUsage.cost_micro,
    HoldUsage.at,
)
_LOST = "lost"
_MOST_PROVIDER = 50


@dataclass(slots=True)
class Charged:
    """What the gateway must be told once the transaction is committed."""

    limits: dict[str, tuple[UUID, int]] = field(default_factory=dict)
    """By session: its organisation, and what the call may cost in all."""
    over: list[str] = field(default_factory=list)
    """Sessions whose hold is closed."""
    available: dict[UUID, int] = field(default_factory=dict)
    """By organisation."""


async def charge(session: AsyncSession, calls: Sequence[Kept], config: CreditsConfig, now: datetime) -> Charged:
    """Book what these calls have used since they were written last; settle those that are over."""
    paid = [call for call in calls if call.belongs.agent_id is not None] if config.enabled else []
    charged = Charged()
    if not paid:
        return charged
    books = await open_books(session, {call.belongs.organization_id for call in paid})
    holds = await _holds(session, books, paid, config, now)
    costs = await _book_usage(session, paid, holds, config)
    for call, hold in zip(paid, holds, strict=True):
        _settle(books[hold.organization_id], hold, call, costs.get(hold.id, 0), config, now)
        if hold.state == "open":
            charged.limits[call.session_id] = (hold.organization_id, hold.held_micro)
        else:
            charged.over.append(call.session_id)
    for organization_id, each in books.items():
        await each.close()
        charged.available[organization_id] = each.balance("available")
    await session.flush()
    return charged


def _settle(books: Books, hold: CreditHold, call: Kept, cost: int, config: CreditsConfig, now: datetime) -> None:
    if hold.state == "released" and cost and call.story.ended_at is None and _lives_on(hold, call):
        open_again(hold)
    if cost:
        spend(books, hold, cost)
    if call.story.ended_at is not None:
        close_hold(books, hold, "released" if call.story.ended_reason == _LOST else "settled", now)
    elif hold.state == "open":
        fill(books, hold, config.hold_micro)


def _lives_on(hold: CreditHold, call: Kept) -> bool:
    """Something was used after the hold was given back: the call was not dead. What was used before is only late."""
    return any(usage.at > hold.settled_at for usage in call.meter.pending() if hold.settled_at is not None)


async def _holds(
    session: AsyncSession, books: Mapping[UUID, Books], calls: Sequence[Kept], config: CreditsConfig, now: datetime
) -> list[CreditHold]:
    """The calls' holds, in their order. One that was made with the session is claimed by its first call; calls that
    began without a session get theirs now."""
    found: dict[tuple[str, datetime | None, UUID], CreditHold] = {}
    for start in range(0, len(calls), _ROWS):
        batch = calls[start : start + _ROWS]
        same = tuple_(CreditHold.session_id, CreditHold.began_at).in_(
            [(call.session_id, call.created_at) for call in batch]
        )
        waiting = CreditHold.session_id.in_([call.session_id for call in batch]) & CreditHold.began_at.is_(None)
        wanted = select(CreditHold).where(same | waiting).execution_options(populate_existing=True)
        for row in await session.scalars(wanted):
            found[row.session_id, row.began_at, row.organization_id] = row
    holds = []
    for call in calls:
        organization_id = call.belongs.organization_id
        key = (call.session_id, call.created_at, organization_id)
        if key not in found:
            waiting_one = found.pop((call.session_id, None, organization_id), None)
            hold = waiting_one or _late_hold(session, books[organization_id], call, config, now)
            hold.began_at = call.created_at
            found[key] = hold
        holds.append(found[key])
    await session.flush()
    return holds


def _late_hold(session: AsyncSession, books: Books, call: Kept, config: CreditsConfig, now: datetime) -> CreditHold:
    assert call.belongs.agent_id is not None
    wanted = config.hold_micro if call.story.ended_at is None else 0
    return open_hold(
        session,
        books,
        call.session_id,
        call.belongs.agent_id,
        wanted,
        created_at=now,
        began_at=call.created_at,
    )


async def _book_usage(
    session: AsyncSession, calls: Sequence[Kept], holds: Sequence[CreditHold], config: CreditsConfig
) -> dict[UUID, int]:
    """Costs by hold, of the events that were not booked before."""
    agents = {hold.id: call.belongs.agent_id for call, hold in zip(calls, holds, strict=True)}
    rows = [row for call, hold in zip(calls, holds, strict=True) for row in _rows(call, hold, config)]
    costs: dict[UUID, int] = {}
    days: dict[tuple[object, ...], tuple[int, int]] = {}
    for start in range(0, len(rows), _ROWS):
        statement = insert(HoldUsage).values(rows[start : start + _ROWS]).on_conflict_do_nothing()
        for row in await session.execute(statement.returning(*_BOOKED)):
            costs[row.hold_id] = costs.get(row.hold_id, 0) + row.cost_micro
            day = row.at.astimezone(UTC).date()
            key = (row.organization_id, day, agents[row.hold_id], row.stage, row.provider, row.unit)
            quantity, cost = days.get(key, (0, 0))
            days[key] = quantity + milli(row.quantity), cost + row.cost_micro
    await _add_up(session, days.items())
    return costs


def _rows(call: Kept, hold: CreditHold, config: CreditsConfig) -> Iterable[dict[str, Any]]:
    for usage in call.meter.pending():
        quantity_milli = milli(usage.quantity)
        provider = usage.provider.replace("\x00", "")[:_MOST_PROVIDER]
        yield {
            "hold_id": hold.id,
            "seq": usage.seq,
            "organization_id": hold.organization_id,
            "stage": usage.stage,
            "provider": provider,
            "unit": usage.unit,
            "quantity": quantity_milli / 1000,
            "cost_micro": cost_micro(config.prices, usage.stage, provider, usage.unit, quantity_milli),
            "at": usage.at,
        }


async def _add_up(session: AsyncSession, days: Iterable[tuple[tuple[object, ...], tuple[int, int]]]) -> None:
    names = ("organization_id", "day", "agent_id", "stage", "provider", "unit")
    rows = [
        dict(zip(names, key, strict=True)) | {"quantity_milli": quantity, "cost_micro": cost}
        for key, (quantity, cost) in days
    ]
    for start in range(0, len(rows), _ROWS):
        statement = insert(UsageDay).values(rows[start : start + _ROWS])
        sums = {name: getattr(UsageDay, name) + statement.excluded[name] for name in ("quantity_milli", "cost_micro")}
        await session.execute(
            statement.on_conflict_do_update(index_elements=[getattr(UsageDay, n) for n in names], set_=sums)
        )
