"""The process that the ledger's proof kills: the control API's own consumer and bookkeeper, on real services.

Nothing of theirs is replaced. Around named functions stands a fault: at its n-th visit the process kills itself with
SIGKILL, before or after the function. And events are delivered as no stream would: twice, out of order, and late.
"""

import asyncio
import inspect
import logging
import os
import random
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from uuid import UUID, uuid4

import structlog
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import configure_mappers

from control_api.conversations import consumer as consumer_module
from control_api.conversations.consumer import Consumer
from control_api.conversations.keeping import Kept
from control_api.credits import charging, ledger, orphans
from control_api.credits.bookkeeper import Bookkeeper
from control_api.credits.config import CreditsConfig
from control_api.credits.ledger import Books
from control_api.credits.orphans import Orphans
from control_api.credits.service import CreditService
from control_api.credits.telling import Telling
from control_api.db.database import Database, DatabaseAway, DatabaseConfig
from control_api.db.models.ledger import LedgerEntry
from control_api.identity.caller import Caller
from control_api.problems import Problem
from sessions.budget import BudgetShelf
from sessions.config import Config as StateConfig
from sessions.connection import open_client
from sessions.store import Store
from voicegate.kernel.clock import SystemClock
from voicegate.kernel.errors import StateUnavailable
from voicegate.kernel.telemetry import NoTelemetry

configure_mappers()
create_async_engine("postgresql+psycopg://")  # so that a process that is forked off need not load all this first

_Entries = list[tuple[bytes, dict[bytes, bytes]]]
When = Literal["before", "after"]


@dataclass(frozen=True, slots=True)
class Point:
    """Where a process dies."""

    name: str
    owner: Any
    function: str
    when: When
    argument: object = None
    """Only visits whose first argument is this."""


POINTS: Final = (
    Point("events read, not folded", Consumer, "_fold", "before"),
    Point("events folded, not written", Consumer, "_write", "before"),
    Point("transaction begun", consumer_module, "keep", "before"),
    Point("conversations written, nothing charged", consumer_module, "keep", "after"),
    Point("accounts locked", charging, "open_books", "after"),
    Point("holds found or made", charging, "_holds", "after"),
    Point("usage written, cost not moved", charging, "_book_usage", "after"),
    Point("hold closed, not written", charging, "close_hold", "after"),
    Point("transfer written, its entries not", ledger, "insert", "before", LedgerEntry),
    Point("entries written, not committed", Books, "close", "after"),
    Point("charged, not committed", Bookkeeper, "charge", "after"),
    Point("committed, not told", Bookkeeper, "tell", "before"),
    Point("half of it told", Telling, "_limits", "after"),
    Point("orphan found", Orphans, "_release", "before"),
    Point("orphan closed, not committed", orphans, "close_hold", "after"),
    Point("orphan freed, not told", Orphans, "_release", "after"),
    Point("session's hold made, not committed", CreditService, "hold", "after"),
)
BY_NAME: Final = {point.name: point for point in POINTS}


@dataclass(frozen=True, slots=True)
class Orders:
    """What one process is told."""

    database_url: str
    redis_url: str
    state: StateConfig
    credits: CreditsConfig
    organizations: tuple[tuple[UUID, UUID], ...]
    """Each with an agent of its own."""
    seed: int
    token_s: float
    """A session's token is good for so long."""
    point: str = ""
    visit: int = 1
    after_rounds: int = 0
    """Without a point: die in the round after so many ..."""
    delay_s: float = -1.0
    """... so long after it began; negative: never."""
    disorder: bool = True
    sessions: bool = True
    """Make sessions that nobody calls."""


def work(orders: Orders) -> None:
    """Until it is killed."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    # Calls that died are given up soon: a process that lives for a second must not open all that ever died again.
    consumer_module._LIVE_S, consumer_module._LOST_S = 0.5, 2.0
    orphans.TOKEN_LIFETIME_S, orphans.SKEW_S = orders.token_s, 0.5  # type: ignore[misc, assignment]
    if orders.point:
        _arm(BY_NAME[orders.point], orders.visit)
    elif orders.delay_s >= 0:
        _arm_by_time(orders.after_rounds, orders.delay_s)
    asyncio.run(_work(orders))


async def _work(orders: Orders) -> None:
    clock, dice = SystemClock(), random.Random(orders.seed)
    database = Database(DatabaseConfig(orders.database_url, pool_size=4))
    client, waiting = open_client(orders.redis_url, orders.state), open_client(orders.redis_url, orders.state)
    shelf = BudgetShelf(client, orders.state.retention_s)
    bookkeeper = Bookkeeper(database, shelf, orders.credits, clock, orders.state.lease_ttl_s)
    kind = Disorderly if orders.disorder else Consumer
    consumer = kind(waiting, Store(client, orders.state), database, clock, NoTelemetry(), None, bookkeeper)
    if isinstance(consumer, Disorderly):
        consumer.dice = dice
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(consumer.run())
        tasks.create_task(bookkeeper.run())
        if orders.sessions:
            tasks.create_task(_make_sessions(orders, database, bookkeeper, dice))


async def _make_sessions(orders: Orders, database: Database, bookkeeper: Bookkeeper, dice: random.Random) -> None:
    """As ``POST /agents/{id}/sessions`` does; nobody calls them, and the credits must come back."""
    while True:
        await asyncio.sleep(dice.uniform(0.1, 0.5))
        organization_id, agent_id = dice.choice(orders.organizations)
        caller, session_id = Caller("user", uuid4(), organization_id, frozenset()), f"uncalled-{uuid4().hex}"
        try:
            async with database.organization(organization_id) as session:
                service = CreditService(session, caller, orders.credits)
                hold = await service.hold(session_id, agent_id, SystemClock().utc())
                await bookkeeper.telling.of_hold(session_id, organization_id, hold.held_micro)
        except (Problem, DatabaseAway, StateUnavailable):
            continue


@dataclass
class _Late:
    """Entries that are held back, and every one that was delivered."""

    held: _Entries = field(default_factory=list)
    had: _Entries = field(default_factory=list)


class Disorderly(Consumer):
    """Delivers entries twice, shuffled, and some of them a round later, even after the call's end was written."""

    dice: random.Random

    def _fold(self, call: Kept, entries: _Entries) -> None:
        late: dict[str, tuple[Kept, _Late]] = self.__dict__.setdefault("late", {})
        _, notes = late.setdefault(call.session_id, (call, _Late()))
        dice = self.dice
        now = [entry for entry in entries if dice.random() > 0.2] or entries[:1]
        delivered = now + notes.held + dice.sample(notes.had, min(len(notes.had), 2))
        notes.held = [entry for entry in entries if entry not in now]
        notes.had += entries
        dice.shuffle(delivered)
        super()._fold(call, delivered)
        # What is held back is not stored, and a process that dies now must not say that it is.
        call.story.last_seq = min(map(_seq, notes.held)) - 1 if notes.held else max(map(_seq, notes.had))

    async def round(self) -> None:
        await super().round()
        late: dict[str, tuple[Kept, _Late]] = self.__dict__.setdefault("late", {})
        for session_id, (call, notes) in list(late.items()):
            if notes.held and session_id not in self._dirty:
                held, notes.held = notes.held, []
                super()._fold(call, held)
                call.story.last_seq = max(map(_seq, notes.had))
            elif call.story.ended_at is not None and session_id not in self._dirty:
                del late[session_id]


def _seq(entry: tuple[bytes, dict[bytes, bytes]]) -> int:
    return int(entry[0].partition(b"-")[0])


def _arm(point: Point, visit: int) -> None:
    """Set the fault."""
    inner, visits = getattr(point.owner, point.function), 0

    def visited(arguments: tuple[Any, ...]) -> None:
        nonlocal visits
        visits += point.argument is None or (bool(arguments) and arguments[0] is point.argument)
        if visits >= visit:
            os.kill(os.getpid(), signal.SIGKILL)

    setattr(point.owner, point.function, _faulty(inner, point.when, visited))


def _arm_by_time(after_rounds: int, delay_s: float) -> None:
    """Die at any moment of a round: by rounds, so that something gets done on a slow machine too."""
    inner, rounds = Consumer.round, 0

    async def round_(self: Consumer) -> None:
        nonlocal rounds
        rounds += 1
        if rounds == after_rounds + 1:
            timer = threading.Timer(delay_s, os.kill, (os.getpid(), signal.SIGKILL))
            timer.daemon = True
            timer.start()
        await inner(self)

    Consumer.round = round_  # type: ignore[method-assign]


def _faulty(inner: Callable[..., Any], when: When, visited: Callable[[tuple[Any, ...]], None]) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(inner):

        async def waited(*arguments: Any, **named: Any) -> Any:
            if when == "before":
                visited(arguments)
            found = await inner(*arguments, **named)
            if when == "after":
                visited(arguments)
            return found

        return waited

    def called(*arguments: Any, **named: Any) -> Any:
        if when == "before":
            visited(arguments)
        found = inner(*arguments, **named)
        if when == "after":
            visited(arguments)
        return found

    return called
