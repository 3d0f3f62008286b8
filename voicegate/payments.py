"""Calls that are paid for: whether one may begin, and how it ends when its credits are used up."""

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Protocol

import structlog

from sessions.budget import Budget, BudgetShelf
from voicegate.kernel.errors import RefusedCall, StateUnavailable
from voicegate.kernel.events import Event
from voicegate.spending import Spending

EXHAUSTED = "credits_exhausted"
"""Why such a call ends."""
_READ_EVERY_S = 5.0
"""How long a top-up may take to be noticed by a call that does not need it yet."""
_LOOK_S = 0.05
_PATIENCE_S = 60.0
"""How long the last words may wait for the end of what is being said: longer than a reply usually takes."""
_log = structlog.get_logger(__name__)


class Spoken(Protocol):
    """What is needed of a session."""

    @property
    def at_boundary(self) -> bool: ...
    def say(self, text: str, *, interrupt: bool = True) -> None: ...
    def say_last(self, text: str, reason: str) -> None: ...
    def notice(self, code: str, message: str) -> None: ...
    def hang_up(self, reason: str) -> None: ...


class Payments:
    def __init__(self, shelf: BudgetShelf) -> None:
        self._shelf = shelf

    async def admit(self, session_id: str, organization_id: str) -> None:
        """Whether a call that costs this organisation credits may begin: something is set aside for it (it has a
        budget), or there is enough to do so when its first event is read. What is not known is not taken for enough.

        Raises:
            RefusedCall: ``insufficient_credits``.
            StateUnavailable: Redis is away.
        """
        budget = await self._shelf.take(session_id)
        if budget is not None and budget.organization_id == organization_id:
            return
        available = await self._shelf.available(organization_id)
        if available is None:
            raise RefusedCall("insufficient_credits", "it is not known whether there are credits for a call; try later")
        if available <= 0:
            raise RefusedCall("insufficient_credits", "there are not enough credits for a call")

    def watch(
        self, session_id: str, organization_id: str, session: Spoken, earlier: Iterable[Event] = ()
    ) -> "WatchedCall":
        """Follow what a call costs. ``earlier``: what another process has stored of it."""
        return WatchedCall(self._shelf, session_id, organization_id, session, earlier)


class WatchedCall:
    """Feed it the call's events, and run it beside the call."""

    def __init__(
        self,
        shelf: BudgetShelf,
        session_id: str,
        organization_id: str,
        session: Spoken,
        earlier: Iterable[Event],
    ) -> None:
        self._shelf, self._session_id, self._organization_id = shelf, session_id, organization_id
        self._session, self._spending = session, Spending()
        self._look = asyncio.Event()
        for event in earlier:
            self._spending.take(event)

    def take(self, event: Event) -> None:
        """An event of the call, on its way to the client."""
        self._spending.take(event)
        if self._spending.tight:
            self._look.set()

    async def run(self) -> None:
        """Until it is cancelled, or has ended the call."""
        try:
            while not await self._judge():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_READ_EVERY_S):
                        await self._look.wait()
                self._look.clear()
        except Exception:  # a call's credits must not end other calls
            _log.exception("credits_not_watched")

    async def _judge(self) -> bool:
        """Act on the newest budget. True: the call ends."""
        budget = await self._read()
        if budget is None:
            return False
        match self._spending.verdict():
            case "warn":
                self._session.notice("credits_low", "the credits for this call are nearly used up")
                if budget.warning:
                    self._session.say(budget.warning, interrupt=False)
            case "end":
                return await self._end()
            case _:
                pass
        return False

    async def _end(self) -> bool:
        """Nobody is cut off: wait until nobody speaks. If credits came in meanwhile, the call goes on."""
        for _ in range(round(_PATIENCE_S / _LOOK_S)):
            if self._session.at_boundary:
                break
            await asyncio.sleep(_LOOK_S)
        budget = await self._read()
        if budget is None or self._spending.verdict() != "end":
            return False
        self._session.notice(EXHAUSTED, "the credits for this call are used up")
        if budget.farewell:
            self._session.say_last(budget.farewell, EXHAUSTED)
        else:
            self._session.hang_up(EXHAUSTED)
        return True

    async def _read(self) -> Budget | None:
        """The newest budget; None: nothing is known, and the call goes on."""
        try:
            budget = await self._shelf.take(self._session_id)
        except StateUnavailable:
            return None
        if budget is None or budget.organization_id != self._organization_id:
            return None
        self._spending.allow(budget)
        return budget
