"""``/credits``: balance, transactions, holds, usage, estimates, grants."""

from datetime import UTC, date, timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Response
from sqlalchemy.ext.asyncio import AsyncSession

from control_api.credits.schemas import (
    Balance,
    By,
    EstimateGiven,
    EstimateShown,
    GrantGiven,
    GrantMade,
    HoldShown,
    TransactionShown,
    UsageShown,
)
from control_api.credits.service import CreditService
from control_api.db.models.model import HoldState
from control_api.identity.caller import Caller
from control_api.once import Answer, OnceDep
from control_api.operations import CallerDep, guarded
from control_api.paging import PagingDep
from control_api.parts import ControlParts, Parts
from control_api.problems import invalid
from control_api.wire import Page

router = APIRouter(prefix="/credits", tags=["credits"])

_USUAL_DAYS = 30
_MOST_DAYS = 366
Day = Annotated[date | None, Query(description="A day in UTC, `YYYY-MM-DD`.")]


@guarded(router.get, "", "credits:read")
async def balance(parts: Parts, caller: CallerDep) -> Balance:
    """What there is, what is set aside, what was used."""
    async with parts.database.organization(caller.organization_id) as session:
        return await _service(parts, caller, session).balance()


@guarded(router.get, "/transactions", "credits:read")
async def transactions(parts: Parts, caller: CallerDep, paging: PagingDep) -> Page[TransactionShown]:
    """The ledger, newest first."""
    async with parts.database.organization(caller.organization_id) as session:
        items, following = await _service(parts, caller, session).transactions(paging)
    return Page(items=list(items), next_cursor=following)


@guarded(router.get, "/holds", "credits:read")
async def holds(parts: Parts, caller: CallerDep, paging: PagingDep, state: HoldState | None = None) -> Page[HoldShown]:
    """What is and was set aside for calls, newest first."""
    async with parts.database.organization(caller.organization_id) as session:
        rows, following = await _service(parts, caller, session).holds(paging, state)
    return Page(items=[HoldShown.model_validate(row) for row in rows], next_cursor=following)


@guarded(router.get, "/usage", "credits:read")
async def usage(parts: Parts, caller: CallerDep, by: By = "day", since: Day = None, until: Day = None) -> UsageShown:
    """What was used, by agent, day or provider; of the last 30 days, if nothing is said."""
    last = until or parts.clock.utc().astimezone(UTC).date()
    if last - date.min < timedelta(days=_MOST_DAYS):
        raise invalid("/query/until", "It is too long ago.")
    first = since or last - timedelta(days=_USUAL_DAYS - 1)
    if not timedelta(0) <= last - first < timedelta(days=_MOST_DAYS):
        raise invalid("/query/since", f"It lies at most {_MOST_DAYS} days before `until`, and not after it.")
    async with parts.database.organization(caller.organization_id) as session:
        items = await _service(parts, caller, session).usage(by, first, last)
    return UsageShown(since=first, until=last, cost_micro=sum(item.cost_micro for item in items), items=items)


@guarded(router.post, "/estimate", "credits:read")
async def estimate(parts: Parts, caller: CallerDep, body: EstimateGiven) -> EstimateShown:
    """What a call would cost, and the prices. Nothing is charged."""
    async with parts.database.organization(caller.organization_id) as session:
        return await _service(parts, caller, session).estimate(body)


@guarded(router.post, "/grants", "credits:grant", status_code=201, response_model=GrantMade, errors=(409,))
async def grant(parts: Parts, caller: CallerDep, body: GrantGiven, once: OnceDep) -> Response:
    """Credits come in: they were paid for, or given."""

    async def work(session: AsyncSession) -> Answer:
        transaction, shown = await _service(parts, caller, session).grant(body.amount_micro, body.reason)
        return Answer(GrantMade(transaction_id=transaction, balance=shown))

    answer = await once(work)
    await parts.bookkeeper.say_available(caller.organization_id)
    return answer


def _service(parts: ControlParts, caller: Caller, session: AsyncSession) -> CreditService:
    return CreditService(session, caller, parts.config.credits)
