"""The stage of the ledger's proof: organisations, grants, and a gateway's calls that use something and end or die."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import psycopg

from control_api.credits.config import CreditsConfig
from control_api.credits.service import CreditService
from control_api.db.database import Database, DatabaseAway
from control_api.identity.caller import Caller
from control_api.problems import Problem
from sessions.config import Config as StateConfig
from sessions.connection import open_client
from sessions.journal import Journal
from sessions.lease import Leases
from sessions.log import SessionLog
from sessions.prices import cost_micro, milli
from sessions.store import Store
from voicegate.kernel.clock import SystemClock
from voicegate.kernel.events import SessionEnded, SessionStarted, Usage
from voicegate.kernel.ids import new_session_id

LEASE_S = 2.0
STATE = StateConfig(lease_ttl_s=LEASE_S, retention_s=7200, redis_timeout_s=5)
CREDITS = CreditsConfig(hold_micro=200_000, least_micro=20_000, warn_micro=20_000, end_micro=5_000)
ORPHAN_BOUND_S = LEASE_S + 5.0
_KINDS = (
    ("session", "voicegate", "seconds", 3.0),
    ("stt", "moonshine", "seconds", 4.0),
    ("tts", "flite", "characters", 90.0),
    ("agent", "gpt", "input_tokens", 900.0),
    ("agent", "gpt", "output_tokens", 60.0),
)


@dataclass(slots=True)
class Found:
    """What came out."""

    kills: int = 0
    at_points: dict[str, int] = field(default_factory=dict)
    at_random: int = 0
    calls: int = 0
    usage_events: int = 0
    orphans: int = 0
    orphans_late: int = 0
    orphan_slowest_s: float = 0.0
    uncalled_freed: int = 0
    looks: int = 0
    below_holds: int = 0
    """Looks at which an organisation had less than its holds, or anything did not add up."""
    error_micro: int = 0
    """Of the ledger in itself, and of calls against what they used ..."""
    error_of_calls_micro: int = 0
    """... the latter alone."""
    open_holds: int = 0
    owed_micro: int = 0
    passed_s: float = 0.0

    @property
    def exact(self) -> bool:
        return not (self.error_micro or self.below_holds or self.orphans_late or self.open_holds)


@dataclass(slots=True)
class Stage:
    """Where it is played."""

    database_url: str
    redis_url: str
    organizations: tuple[tuple[UUID, UUID], ...]
    database: Database
    dice: random.Random
    found: Found
    expected: dict[str, int] = field(default_factory=dict)
    """What each call must have cost."""
    abandoned: dict[str, float] = field(default_factory=dict)
    """When calls died, on the monotonic clock ..."""
    freed: dict[str, float] = field(default_factory=dict)
    """... and when their holds were given back for good."""
    clock: SystemClock = field(default_factory=SystemClock)


async def make_organization(url: str) -> tuple[UUID, UUID]:
    organization, agent = uuid4(), uuid4()
    async with await psycopg.AsyncConnection.connect(url) as connection:
        await connection.execute("INSERT INTO organizations (id, name) VALUES (%s, 'Proof')", (organization,))
        await connection.execute(
            "INSERT INTO agents (id, organization_id, name, status, configuration, published_version)"
            " VALUES (%s, %s, 'A', 'published', '{}', 1)",
            (agent, organization),
        )
    return organization, agent


@dataclass(slots=True)
class Gateway:
    store: Store
    leases: Leases
    journal: Journal
    stack: AsyncExitStack


@asynccontextmanager
async def gateway_of(stage: Stage) -> AsyncIterator[Gateway]:
    async with AsyncExitStack() as stack:
        client = open_client(stage.redis_url, STATE)
        stack.push_async_callback(client.aclose)
        leases = await stack.enter_async_context(Leases(client, STATE, "proof"))
        journal = await stack.enter_async_context(Journal(client, STATE, leases))
        yield Gateway(Store(client, STATE), leases, journal, stack)


# --- what happens ---


async def grants(stage: Stage, over: asyncio.Event) -> None:
    """One organisation is rich, the other always about to run out."""
    (rich, _), (poor, _) = stage.organizations
    await _grant(stage, rich, 10**9)
    while not over.is_set():
        await _grant(stage, poor, stage.dice.randint(1, 400_000))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), stage.dice.uniform(0.5, 2))


async def _grant(stage: Stage, organization_id: UUID, amount_micro: int) -> None:
    caller = Caller("user", uuid4(), organization_id, frozenset())
    with contextlib.suppress(DatabaseAway):
        async with stage.database.organization(organization_id) as session:
            await CreditService(session, caller, CREDITS).grant(amount_micro, "proof")


async def talk(stage: Stage, gateway: Gateway, over: asyncio.Event) -> None:
    while not over.is_set():
        await _call(stage, gateway)


async def _call(stage: Stage, gateway: Gateway) -> None:
    dice = stage.dice
    organization_id, agent_id = dice.choice(stage.organizations)
    session_id = new_session_id()
    if dice.random() < 0.5:
        await _hold(stage, organization_id, agent_id, session_id)
    record = await gateway.store.create(session_id, agent=str(agent_id), transport="test")
    dies = dice.random() < 0.2
    async with AsyncExitStack() as stack:
        # The log of a call that dies is never closed: closing gives the lease back, which the dead cannot do.
        kept = gateway.stack if dies else stack
        log = await kept.enter_async_context(gateway.journal.open(record, await gateway.leases.acquire(session_id)))
        cost = await _use(stage, log, ends=not dies)
        stage.found.calls += 1
        stage.expected[session_id] = cost
        if dies:
            await log.stored()
            gateway.leases.drop(log.lease)
            stage.abandoned[session_id] = stage.clock.monotonic()


async def _hold(stage: Stage, organization_id: UUID, agent_id: UUID, session_id: str) -> None:
    caller = Caller("user", uuid4(), organization_id, frozenset())
    # The poor one, or a busy machine: the call begins all the same, as one on the phone would.
    with contextlib.suppress(Problem, DatabaseAway):
        async with stage.database.organization(organization_id) as session:
            await CreditService(session, caller, CREDITS).hold(session_id, agent_id, stage.clock.utc())


async def _use(stage: Stage, log: SessionLog, *, ends: bool) -> int:
    """The call's events; what they cost."""
    dice, session_id, now = stage.dice, log.record.id, stage.clock.utc
    log.emit(SessionStarted(session_id=session_id, seq=1, at=now(), agent="A", transport="test"))
    last, cost = dice.randint(2, 30), 0
    for seq in range(2, last + 1):
        stage_name, provider, unit, most = dice.choice(_KINDS)
        quantity = round(dice.uniform(0, most), 3)
        log.emit(
            Usage(
                session_id=session_id,
                seq=seq,
                at=now(),
                stage=stage_name,  # type: ignore[arg-type]
                provider=provider,
                quantity=quantity,
                unit=unit,  # type: ignore[arg-type]
            )
        )
        stage.found.usage_events += 1
        cost += cost_micro(CREDITS.prices, stage_name, provider, unit, milli(quantity))
        await asyncio.sleep(dice.uniform(0.02, 0.2))
    if ends:
        log.emit(SessionEnded(session_id=session_id, seq=last + 1, at=now(), reason="client"))
    return cost
