"""Tells the gateway, through Redis, what the ledger says: each call's budget, and what organisations may begin with.

Redis is told after the transaction. What a process that died did not tell, is told by the round that goes over
everything (:meth:`Telling.refresh`).
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from uuid import UUID

from sqlalchemy import select

from control_api.credits.charging import Charged
from control_api.credits.config import CreditsConfig
from control_api.db.database import Database
from control_api.db.models.ledger import CreditHold, LedgerAccount
from sessions.budget import Budget, BudgetShelf

_REMEMBERED = 20_000


class Telling:
    def __init__(self, database: Database, shelf: BudgetShelf, config: CreditsConfig) -> None:
        self._database, self._shelf, self._config = database, shelf, config
        self._told: OrderedDict[str, int] = OrderedDict()

    async def of_charges(self, charged: Charged) -> None:
        """Raises StateUnavailable: Redis is away; it is told by the next refresh."""
        await self._limits(charged.limits)
        await self._shelf.remove(charged.over)
        for session_id in charged.over:
            self._told.pop(session_id, None)
        await self.of_available(charged.available)

    async def of_hold(self, session_id: str, organization_id: UUID, limit_micro: int) -> None:
        """Raises StateUnavailable: Redis is away."""
        await self._shelf.put({session_id: self._budget(organization_id, limit_micro)})

    async def of_available(self, available: Mapping[UUID, int]) -> None:
        """Raises StateUnavailable: Redis is away."""
        least = self._config.least_micro
        await self._shelf.put_available({str(key): micro if micro >= least else 0 for key, micro in available.items()})

    def forget(self) -> None:
        """Redis may have forgotten: the next refresh tells everything."""
        self._told.clear()

    async def refresh(self) -> None:
        """Say again what all organisations have and what all open holds are.

        Raises:
            StateUnavailable, DatabaseAway: the next round does it.
        """
        balances = select(LedgerAccount.organization_id, LedgerAccount.balance_micro)
        holds = select(CreditHold.session_id, CreditHold.organization_id, CreditHold.held_micro)
        async with self._database.system() as session:
            available = await session.execute(balances.where(LedgerAccount.kind == "available"))
            open_holds = await session.execute(holds.where(CreditHold.state == "open"))
            by_organization = {row[0]: int(row[1]) for row in available}
            limits = {str(row[0]): (row[1], int(row[2])) for row in open_holds}
        await self.of_available(by_organization)
        await self._limits(limits)

    async def _limits(self, limits: Mapping[str, tuple[UUID, int]]) -> None:
        changed = {key: each for key, each in limits.items() if self._told.get(key) != each[1]}
        await self._shelf.put({key: self._budget(*each) for key, each in changed.items()})
        self._remember(changed.items())

    def _remember(self, told: Iterable[tuple[str, tuple[UUID, int]]]) -> None:
        for session_id, (_, limit_micro) in told:
            self._told[session_id] = limit_micro
            self._told.move_to_end(session_id)
        while len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)

    def _budget(self, organization_id: UUID, limit_micro: int) -> Budget:
        config = self._config
        return Budget(
            organization_id=str(organization_id),
            limit_micro=limit_micro,
            warn_micro=config.warn_micro,
            end_micro=config.end_micro,
            prices=dict(config.prices),
            warning=config.warning,
            farewell=config.farewell,
        )
