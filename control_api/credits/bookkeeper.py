"""What works for the ledger beside requests: charges for calls, frees orphans, tells the gateway."""

import asyncio
import contextlib
from collections.abc import Sequence
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from control_api.conversations.keeping import Kept
from control_api.credits.charging import Charged, charge
from control_api.credits.config import CreditsConfig
from control_api.credits.ledger import open_books
from control_api.credits.orphans import LOOK_EVERY_S, Orphans
from control_api.credits.service import granted
from control_api.credits.telling import Telling
from control_api.db.database import Database, DatabaseAway
from control_api.db.models.ledger import LedgerAccount
from sessions.budget import BudgetShelf
from voicegate.kernel.clock import Clock
from voicegate.kernel.errors import StateUnavailable

_REFRESH_EVERY_S = 5.0
_log = structlog.get_logger(__name__)


class Bookkeeper:
    def __init__(
        self, database: Database, shelf: BudgetShelf, config: CreditsConfig, clock: Clock, lease_s: float
    ) -> None:
        self._database, self._config, self._clock = database, config, clock
        self.telling = Telling(database, shelf, config)
        self._orphans = Orphans(database, shelf, clock, lease_s)
        self._refreshed_s = float("-inf")

    async def welcome(self, organization_id: UUID | None) -> None:
        """The home organisation's first credits: if nothing was ever granted to it, it begins with some."""
        if not (self._config.enabled and self._config.welcome_micro and organization_id):
            return
        async with self._database.system() as session:
            books = (await open_books(session, [organization_id]))[organization_id]
            if books.balance("granted") == 0:
                granted(books, self._config.welcome_micro, "welcome")
                await books.close()

    async def say_available(self, organization_id: UUID) -> None:
        """Tell the gateway at once what the organisation has now. Never raises: the next refresh says it too."""
        wanted = select(LedgerAccount.balance_micro).where(
            LedgerAccount.organization_id == organization_id, LedgerAccount.kind == "available"
        )
        with contextlib.suppress(StateUnavailable, DatabaseAway):
            async with self._database.system() as session:
                available = await session.scalar(wanted)
            await self.telling.of_available({organization_id: available or 0})

    async def charge(self, session: AsyncSession, calls: Sequence[Kept]) -> Charged:
        """Book what these calls used, in the transaction that keeps them; :meth:`tell` when that is committed."""
        return await charge(session, calls, self._config, self._clock.utc())

    async def tell(self, charged: Charged) -> None:
        """Never raises: what Redis does not take now, the next refresh brings."""
        try:
            await self.telling.of_charges(charged)
        except StateUnavailable:
            self._forget()

    async def run(self) -> None:
        """Free orphans and say again how things stand, for ever."""
        while True:
            try:
                await self.round()
            except (StateUnavailable, DatabaseAway) as error:
                self._forget()
                _log.warning("credits wait", error=error.code)
            except Exception:
                # Whatever it is, it must not take the API down, nor the gateway that may run beside it.
                _log.exception("credits failed")
            await asyncio.sleep(LOOK_EVERY_S)

    async def round(self) -> None:
        """One look.

        Raises:
            StateUnavailable, DatabaseAway: the next one does it.
        """
        await self.tell(await self._orphans.free())
        now_s = self._clock.monotonic()
        if now_s - self._refreshed_s >= _REFRESH_EVERY_S:
            await self.telling.refresh()
            self._refreshed_s = now_s

    def _forget(self) -> None:
        self.telling.forget()
        self._refreshed_s = float("-inf")
