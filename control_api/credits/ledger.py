"""The ledger: double entry, append-only. Nothing else writes accounts, transfers and entries.

Whoever writes locks the organisation's accounts first (:func:`open_books`), in one order over all organisations; so
whatever belongs to an organisation's credits (accounts, holds, usage) changes one transaction after another, and a
process that dies leaves nothing half-done. Readers wait for nobody.
"""

from collections.abc import Iterable, Mapping
from typing import Final, get_args
from uuid import UUID, uuid4

from sqlalchemy import insert, select
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.ext.asyncio import AsyncSession

from control_api.credits.accounts import Lines
from control_api.db.models.ledger import LedgerAccount, LedgerEntry, LedgerTransfer
from control_api.db.models.model import LedgerAccountKind

_BATCH: Final = 500
"""Transfers in one statement, which has a limit of values; all entries of a transfer stand in one."""
KINDS: Final[tuple[LedgerAccountKind, ...]] = get_args(LedgerAccountKind)


class Books:
    """An organisation's accounts, locked until the transaction ends. Movements are written by :meth:`close`."""

    def __init__(
        self, session: AsyncSession, organization_id: UUID, accounts: Mapping[LedgerAccountKind, LedgerAccount]
    ) -> None:
        self.organization_id = organization_id
        self._session, self._accounts = session, accounts
        self._transfers: list[dict[str, object]] = []
        self._entries: list[list[dict[str, object]]] = []

    def balance(self, kind: LedgerAccountKind) -> int:
        """As of the last :meth:`move`."""
        return self._accounts[kind].balance_micro

    def move(
        self, kind: str, lines: Lines, *, hold_id: UUID | None = None, reason: str = "", created_by: UUID | None = None
    ) -> UUID | None:
        """One transfer; None where nothing moves."""
        if not lines:
            return None
        if sum(lines.values()):
            raise AssertionError(f"{kind}: the entries do not add up to nothing: {dict(lines)}")
        common = {"organization_id": self.organization_id}
        transfer = uuid4()
        self._transfers.append(
            {"id": transfer, "kind": kind, "hold_id": hold_id, "reason": reason, "created_by": created_by, **common}
        )
        entries: list[dict[str, object]] = []
        for account_kind, amount in lines.items():
            account = self._accounts[account_kind]
            account.balance_micro += amount
            entries.append({"transfer_id": transfer, "account_id": account.id, "amount_micro": amount, **common})
        self._entries.append(entries)
        return transfer

    async def close(self) -> bool:
        """Write what moved; False if nothing did."""
        if not self._transfers:
            return False
        await self._session.flush()  # balances, and the holds that transfers speak of
        for start in range(0, len(self._transfers), _BATCH):
            transfers = self._transfers[start : start + _BATCH]
            entries = [entry for of_one in self._entries[start : start + _BATCH] for entry in of_one]
            await self._session.execute(insert(LedgerTransfer).values(transfers))
            await self._session.execute(insert(LedgerEntry).values(entries))
        self._transfers, self._entries = [], []
        return True


async def open_books(session: AsyncSession, organization_ids: Iterable[UUID]) -> dict[UUID, Books]:
    """Lock the accounts of these organisations; those that are missing are made."""
    wanted = sorted(set(organization_ids))
    found = await _locked(session, wanted)
    missing = [
        {"organization_id": organization_id, "kind": kind}
        for organization_id in wanted
        for kind in KINDS
        if kind not in found.get(organization_id, {})
    ]
    if missing:
        await session.execute(postgres_insert(LedgerAccount).values(missing).on_conflict_do_nothing())
        found = await _locked(session, wanted)
    return {organization_id: Books(session, organization_id, found[organization_id]) for organization_id in wanted}


async def _locked(
    session: AsyncSession, organization_ids: list[UUID]
) -> dict[UUID, dict[LedgerAccountKind, LedgerAccount]]:
    statement = (
        select(LedgerAccount)
        .where(LedgerAccount.organization_id.in_(organization_ids))
        .order_by(LedgerAccount.organization_id, LedgerAccount.kind)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    found: dict[UUID, dict[LedgerAccountKind, LedgerAccount]] = {}
    for account in await session.scalars(statement):
        found.setdefault(account.organization_id, {})[account.kind] = account
    return found
