"""What is read of credits, and how they come in. Every method works in the caller's transaction."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from control_api import audit
from control_api.credits import accounts
from control_api.credits.config import CreditsConfig
from control_api.credits.holds import open_hold
from control_api.credits.ledger import KINDS, Books, open_books
from control_api.credits.schemas import (
    MOST_MICRO,
    Balance,
    By,
    EntryShown,
    EstimateGiven,
    EstimateLine,
    EstimateShown,
    TransactionShown,
    UsageRow,
)
from control_api.db.models.ledger import CreditHold, LedgerAccount, LedgerEntry, LedgerTransfer, UsageDay
from control_api.db.models.model import LedgerAccountKind
from control_api.db.repository import Repository
from control_api.identity.caller import Caller
from control_api.paging import Paging
from control_api.problems import Problem
from sessions.prices import ANY, cost_micro, milli, price_micro

_USUAL_S = 60
_USUAL: Mapping[tuple[str, str], float] = {
    ("stt", "seconds"): 25,
    ("tts", "characters"): 400,
    ("agent", "input_tokens"): 4_000,
    ("agent", "output_tokens"): 120,
}
"""Of a minute of usual talk: five turns, a model that reads the whole conversation each time (our choice)."""
_GROUPS: Mapping[By, tuple[InstrumentedAttribute[Any], ...]] = {
    "agent": (UsageDay.agent_id,),
    "day": (UsageDay.day,),
    "provider": (UsageDay.stage, UsageDay.provider, UsageDay.unit),
}


class CreditService:
    def __init__(self, session: AsyncSession, caller: Caller, config: CreditsConfig) -> None:
        self._session, self._caller, self._config = session, caller, config
        self._organization_id = caller.organization_id

    async def balance(self) -> Balance:
        ours = LedgerAccount.organization_id == self._organization_id
        rows = await self._session.execute(select(LedgerAccount.kind, LedgerAccount.balance_micro).where(ours))
        return self._balance({kind: int(micro) for kind, micro in rows})

    async def grant(self, amount_micro: int, reason: str) -> tuple[UUID, Balance]:
        """Credits come in. Raises Problem: ``conflict``, there are too many."""
        books = (await open_books(self._session, [self._organization_id]))[self._organization_id]
        if amount_micro - books.balance("granted") > MOST_MICRO:
            raise Problem("conflict", f"An organisation is granted {MOST_MICRO} micro-credits at most.")
        transfer = granted(books, amount_micro, reason, self._caller.user_id)
        await books.close()
        audit.record(self._session, self._caller, "credits.granted", transfer, {"amountMicro": amount_micro})
        return transfer, self._balance({kind: books.balance(kind) for kind in KINDS})

    async def hold(self, session_id: str, agent_id: UUID, now: datetime) -> CreditHold:
        """Set aside what a call needs. Raises Problem: ``insufficient_credits``."""
        books = (await open_books(self._session, [self._organization_id]))[self._organization_id]
        if books.balance("available") < self._config.least_micro:
            raise Problem("insufficient_credits", "A call needs credits: see GET /credits.")
        hold = open_hold(
            self._session,
            books,
            session_id,
            agent_id,
            self._config.hold_micro,
            created_at=now,
            created_by=self._caller.user_id,
        )
        await books.close()
        return hold

    async def transactions(self, paging: Paging) -> tuple[Sequence[TransactionShown], str | None]:
        """Newest first."""
        rows, following = await Repository(self._session, self._organization_id, LedgerTransfer).page(paging)
        entries = await self._entries([row.id for row in rows])
        return [
            TransactionShown(
                id=row.id,
                kind=row.kind,
                hold_id=row.hold_id,
                reason=row.reason,
                created_by=row.created_by,
                created_at=row.created_at,
                entries=entries[row.id],
            )
            for row in rows
        ], following

    async def holds(self, paging: Paging, state: str | None) -> tuple[Sequence[CreditHold], str | None]:
        """Newest first."""
        conditions: list[ColumnElement[bool]] = [CreditHold.state == state] if state else []
        return await Repository(self._session, self._organization_id, CreditHold).page(paging, *conditions)

    async def usage(self, by: By, since: date, until: date) -> list[UsageRow]:
        """What was used on these days, both included; the dearest first, days in order."""
        columns = _GROUPS[by]
        cost, quantity = func.sum(UsageDay.cost_micro), func.sum(UsageDay.quantity_milli)
        wanted = (
            select(*columns, cost.label("cost_micro"), quantity.label("quantity_milli"))
            .where(UsageDay.organization_id == self._organization_id, UsageDay.day.between(since, until))
            .group_by(*columns)
            .order_by(columns[0] if by == "day" else cost.desc(), *columns)
        )
        return [_usage_row(by, dict(row)) for row in (await self._session.execute(wanted)).mappings()]

    async def estimate(self, given: EstimateGiven) -> EstimateShown:
        prices = self._config.prices
        lines = [
            EstimateLine(
                stage=stage,
                unit=unit,
                quantity=quantity,
                price_micro=price_micro(prices, stage, ANY, unit),
                cost_micro=cost_micro(prices, stage, ANY, unit, milli(quantity)),
            )
            for (stage, unit), quantity in quantities(given).items()
        ]
        cost = sum(line.cost_micro for line in lines)
        available = (await self.balance()).available_micro
        return EstimateShown(
            cost_micro=cost,
            lines=lines,
            prices=dict(prices),
            affordable_calls=available // max(cost, self._config.least_micro, 1),
        )

    async def _entries(self, transfer_ids: Sequence[UUID]) -> dict[UUID, list[EntryShown]]:
        wanted = (
            select(LedgerEntry.transfer_id, LedgerAccount.kind, LedgerEntry.amount_micro)
            .join(LedgerAccount, LedgerAccount.id == LedgerEntry.account_id)
            .where(LedgerEntry.transfer_id.in_(transfer_ids), LedgerEntry.organization_id == self._organization_id)
            .order_by(LedgerEntry.id)
        )
        found: dict[UUID, list[EntryShown]] = {transfer_id: [] for transfer_id in transfer_ids}
        for transfer_id, kind, amount in await self._session.execute(wanted):
            found[transfer_id].append(EntryShown(account=kind, amount_micro=amount))
        return found

    def _balance(self, micro: Mapping[LedgerAccountKind, int]) -> Balance:
        return Balance(
            available_micro=micro.get("available", 0),
            held_micro=micro.get("held", 0),
            used_micro=micro.get("spent", 0),
            granted_micro=-micro.get("granted", 0),
            owed_micro=-micro.get("owed", 0),
            least_micro=self._config.least_micro,
        )


def granted(books: Books, amount_micro: int, reason: str, created_by: UUID | None = None) -> UUID:
    """The transfer of a grant."""
    lines = accounts.grant(amount_micro, owed=books.balance("owed"))
    transfer = books.move("grant", lines, reason=reason, created_by=created_by)
    assert transfer is not None  # an amount is above nothing
    return transfer


def quantities(given: EstimateGiven) -> dict[tuple[str, str], float]:
    """What a call is taken to use, by stage and unit."""
    told = {
        ("stt", "seconds"): given.speech_seconds,
        ("tts", "characters"): given.characters,
        ("agent", "input_tokens"): given.input_tokens,
        ("agent", "output_tokens"): given.output_tokens,
    }
    usual = {key: each * given.seconds / _USUAL_S for key, each in _USUAL.items()}
    return {("session", "seconds"): given.seconds} | {
        key: usual[key] if each is None else each for key, each in told.items()
    }


def _usage_row(by: By, row: dict[str, Any]) -> UsageRow:
    quantity = row.pop("quantity_milli")
    shown = float(quantity) / 1000 if by == "provider" else None
    return UsageRow(**row | {"cost_micro": int(row["cost_micro"]), "quantity": shown})
