"""Proof that the ledger is exact under any crash: ``python -m benchmarks.ledger_crash --kills 500``.

A gateway's journal writes calls with usage into a real Redis. Two processes at a time book them in a real PostgreSQL,
and are killed with SIGKILL, at named points of their work and at random; deliveries are doubled, shuffled and late.
Some calls die without a word: their holds must come back within the time of a lease and five seconds. At the end every
call must have cost what it used, to the micro-credit; and at no moment may an organisation have less than its holds.
"""

import asyncio
import contextlib
import multiprocessing
import random
import signal
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID, uuid4

import psycopg
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.ledger_error import error_micro
from benchmarks.ledger_worker import POINTS, Orders, work
from benchmarks.machine import this_machine
from benchmarks.results import write_results
from control_api.credits.config import CreditsConfig
from control_api.credits.service import CreditService
from control_api.db.database import Database, DatabaseAway, DatabaseConfig
from control_api.db.migrations import committed, migrate
from control_api.identity.caller import Caller
from control_api.problems import Problem
from sessions.config import Config as StateConfig
from sessions.connection import open_client
from sessions.journal import Journal
from sessions.lease import Leases
from sessions.log import SessionLog
from sessions.prices import cost_micro, milli
from sessions.store import Store
from voicegate.embedded.postgres import PostgresConfig, embedded_postgres
from voicegate.embedded.redis import RedisConfig, embedded_redis
from voicegate.kernel.clock import SystemClock
from voicegate.kernel.events import SessionEnded, SessionStarted, Usage
from voicegate.kernel.ids import new_session_id

LEASE_S = 2.0
STATE = StateConfig(lease_ttl_s=LEASE_S, retention_s=300, redis_timeout_s=5)
CREDITS = CreditsConfig(hold_micro=200_000, least_micro=20_000, warn_micro=20_000, end_micro=5_000)
ORPHAN_BOUND_S = LEASE_S + 5.0
_TOKEN_S = 2.0
_KINDS = (
    ("session", "voicegate", "seconds", 3.0),
    ("stt", "moonshine", "seconds", 4.0),
    ("tts", "flite", "characters", 90.0),
    ("agent", "gpt", "input_tokens", 900.0),
    ("agent", "gpt", "output_tokens", 60.0),
)
_NEEDED = (
    "benchmarks.machine",
    "rich.table",
    "typer",
    "voicegate.embedded.postgres",
    "voicegate.embedded.redis",
    "sessions.journal",
)
"""Modules that a process would otherwise import after it was forked."""
_CATCH_UP_S = 60.0
_EVERY_S = 0.1


@dataclass(slots=True)
class Found:
    """What came out."""

    kills: int = 0
    at_points: Counter[str] = field(default_factory=Counter)
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
    """Of the ledger in itself, and of calls against what they used."""
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


async def prove(
    database_url: str,
    redis_url: str,
    *,
    kills: int,
    seed: int = 1,
    calls: int = 3,
    workers: int = 2,
    lives_s: float = 2.0,
    waits_s: float = 5.0,
) -> Found:
    """Run it on these services; the database has its tables and nothing in them. ``lives_s``: what is killed at random
    lives so long at most; ``waits_s``: what does not come to its point in this time, is killed where it is."""
    dice = random.Random(seed)
    database = Database(DatabaseConfig(database_url))
    organizations = tuple([await _organization(database_url) for _ in range(2)])
    stage = Stage(database_url, redis_url, organizations, database, dice, Found())
    began_s = stage.clock.monotonic()
    async with _gateway(stage) as gateway:
        over, done = asyncio.Event(), asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_watch(stage, done))
            tasks.create_task(_grants(stage, over))
            talking = [tasks.create_task(_talk(stage, gateway, over)) for _ in range(calls)]
            await _kill(stage, kills, workers, lives_s, waits_s)
            over.set()
            await asyncio.gather(*talking)
            await _catch_up(stage)
            await asyncio.sleep(0.2)
            done.set()
    await _judge(stage)
    stage.found.passed_s = round(stage.clock.monotonic() - began_s, 1)
    await database.aclose()
    return stage.found


async def _organization(url: str) -> tuple[UUID, UUID]:
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
class _Gateway:
    store: Store
    leases: Leases
    journal: Journal
    stack: AsyncExitStack


@asynccontextmanager
async def _gateway(stage: Stage) -> AsyncIterator[_Gateway]:
    async with AsyncExitStack() as stack:
        client = open_client(stage.redis_url, STATE)
        stack.push_async_callback(client.aclose)
        leases = await stack.enter_async_context(Leases(client, STATE, "proof"))
        journal = await stack.enter_async_context(Journal(client, STATE, leases))
        yield _Gateway(Store(client, STATE), leases, journal, stack)


# --- what happens ---


async def _grants(stage: Stage, over: asyncio.Event) -> None:
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


async def _talk(stage: Stage, gateway: _Gateway, over: asyncio.Event) -> None:
    while not over.is_set():
        await _call(stage, gateway)


async def _call(stage: Stage, gateway: _Gateway) -> None:
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


# --- who dies ---


async def _kill(stage: Stage, kills: int, workers: int, lives_s: float, waits_s: float) -> None:
    """Keep so many processes at work until so many were killed."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.ledger_worker", "benchmarks.ledger_error", *_NEEDED])
    points = [point.name for point in POINTS]
    planned = [points[number % len(points)] if number % 3 else "" for number in range(kills)]
    stage.dice.shuffle(planned)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(workers):
            tasks.create_task(_lives(stage, context, planned, lives_s, waits_s))


async def _lives(stage: Stage, context: ForkServerContext, planned: list[str], lives_s: float, waits_s: float) -> None:
    while planned:
        point = planned.pop()
        process = await _begin(stage, context, point)
        by_itself = await _wait(process, waits_s if point else stage.dice.uniform(0.1, lives_s))
        if not by_itself:
            process.kill()
            await _wait(process, 30)
        if process.exitcode != -signal.SIGKILL:
            raise RuntimeError(f"a process ended by itself, with {process.exitcode}: see what it said")
        stage.found.kills += 1
        if stage.found.kills % 50 == 0:
            print(f"{stage.found.kills} killed", flush=True)
        if point and by_itself:
            stage.found.at_points[point] += 1
        else:
            stage.found.at_random += 1
        process.close()


async def _begin(
    stage: Stage, context: ForkServerContext, point: str = "", *, disorder: bool = True, sessions: bool = True
) -> ForkServerProcess:
    orders = Orders(
        stage.database_url,
        stage.redis_url,
        STATE,
        CREDITS,
        stage.organizations,
        stage.dice.randrange(2**32),
        _TOKEN_S,
        point,
        stage.dice.randint(1, 3) if "orphan" not in point else 1,
        disorder,
        sessions,
    )
    process = context.Process(target=work, args=(orders,), daemon=True)
    await asyncio.to_thread(process.start)  # the first one waits for what all are forked from
    return process


async def _wait(process: Any, seconds: float) -> bool:
    """Whether it ended in this time."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(process.sentinel, ended.set)
    try:
        async with asyncio.timeout(seconds):
            await ended.wait()
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(process.sentinel)
    process.join()
    return True


# --- who looks ---

_BELOW = """
SELECT count(*) FROM (
  SELECT organization_id,
    sum(balance_micro) FILTER (WHERE kind IN ('available', 'held')) AS balance,
    sum(balance_micro) AS everything
  FROM ledger_accounts GROUP BY organization_id
) AS accounts LEFT JOIN (
  SELECT organization_id, sum(held_micro - used_micro) AS held FROM credit_holds WHERE state = 'open' GROUP BY 1
) AS holds USING (organization_id)
WHERE balance < coalesce(held, 0) OR everything <> 0
"""


async def _watch(stage: Stage, done: asyncio.Event) -> None:
    """The balance against the holds, all the time; and when the holds of dead calls come back."""
    async with await psycopg.AsyncConnection.connect(stage.database_url, autocommit=True) as connection:
        while not done.is_set():
            row = await (await connection.execute(_BELOW.encode())).fetchone()
            stage.found.looks += 1
            stage.found.below_holds += bool(row and row[0])
            await _see_freed(stage, connection)
            await asyncio.sleep(0.05)


async def _see_freed(stage: Stage, connection: psycopg.AsyncConnection[Any]) -> None:
    """A hold that is opened again was not free."""
    rows = await connection.execute(
        "SELECT session_id, state = 'open' FROM credit_holds WHERE session_id = ANY(%s)", (list(stage.abandoned),)
    )
    now_s = stage.clock.monotonic()
    for session_id, is_open in await rows.fetchall():
        if is_open:
            stage.freed.pop(session_id, None)
        else:
            stage.freed.setdefault(session_id, now_s)


async def _catch_up(stage: Stage) -> None:
    """Two processes that nobody kills; until nothing is open any more."""
    context = multiprocessing.get_context("forkserver")
    processes = [await _begin(stage, context, disorder=False, sessions=False) for _ in range(2)]
    try:
        async with _looking(stage) as connection:
            for _ in range(round(_CATCH_UP_S / _EVERY_S)):  # the judge sees what is missing then
                if not await _unsettled(stage, connection):
                    break
                await asyncio.sleep(_EVERY_S)
    finally:
        for process in processes:
            process.kill()
            process.join()


@asynccontextmanager
async def _looking(stage: Stage) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    async with await psycopg.AsyncConnection.connect(stage.database_url, autocommit=True) as connection:
        yield connection


async def _used(connection: psycopg.AsyncConnection[Any]) -> dict[str, int]:
    rows = await connection.execute(
        "SELECT session_id, sum(used_micro)::bigint FROM credit_holds WHERE began_at IS NOT NULL GROUP BY 1"
    )
    return {str(session_id): int(micro) for session_id, micro in await rows.fetchall()}


async def _unsettled(stage: Stage, connection: psycopg.AsyncConnection[Any]) -> bool:
    # In this order: once all usage is booked, no hold is opened any more.
    return await _used(connection) != stage.expected or bool(await _open_holds(connection))


async def _open_holds(connection: psycopg.AsyncConnection[Any]) -> int:
    row = await (await connection.execute("SELECT count(*) FROM credit_holds WHERE state = 'open'")).fetchone()
    return int(row[0]) if row else 0


async def _judge(stage: Stage) -> None:
    found = stage.found
    async with _looking(stage) as connection:
        used = await _used(connection)
        calls = used.keys() | stage.expected.keys()
        found.error_micro = sum(abs(used.get(each, 0) - stage.expected.get(each, 0)) for each in calls)
        for organization_id, _ in stage.organizations:
            found.error_micro += await error_micro(connection, organization_id)
        found.open_holds = await _open_holds(connection)
        uncalled = "SELECT count(*) FROM credit_holds WHERE session_id LIKE 'uncalled-%' AND state = 'released'"
        row = await (await connection.execute(uncalled)).fetchone()
        found.uncalled_freed = int(row[0]) if row else 0
        owed = await (
            await connection.execute("SELECT -sum(balance_micro) FROM ledger_accounts WHERE kind = 'owed'")
        ).fetchone()
        found.owed_micro = int(owed[0] or 0) if owed else 0
    took_s = [stage.freed[each] - died for each, died in stage.abandoned.items() if each in stage.freed]
    found.orphans = len(stage.abandoned)
    found.orphans_late = len(stage.abandoned) - sum(each <= ORPHAN_BOUND_S for each in took_s)
    found.orphan_slowest_s = round(max(took_s, default=0.0), 2)


# --- by hand ---


async def _run(folder: Path, kills: int, seed: int, workers: int) -> Found:
    async with AsyncExitStack() as stack:
        redis_url = await stack.enter_async_context(embedded_redis(RedisConfig(directory=folder / "redis")))
        postgres = PostgresConfig(directory=folder / "postgres")
        database_url = await stack.enter_async_context(embedded_postgres(postgres))
        await migrate(database_url, committed())
        return await prove(database_url, redis_url, kills=kills, seed=seed, workers=workers)


def _show(console: Console, found: Found) -> None:
    table = Table("", "figure", title="The ledger under kill -9")
    for name, figure in (
        ("processes killed", found.kills),
        ("of them at named points", sum(found.at_points.values())),
        ("calls", found.calls),
        ("usage events", found.usage_events),
        ("error, micro-credits", found.error_micro),
        ("looks at the balance", found.looks),
        ("of them below the holds", found.below_holds),
        ("calls that died", found.orphans),
        (f"of them freed after {ORPHAN_BOUND_S:g} s or later", found.orphans_late),
        ("slowest, seconds", found.orphan_slowest_s),
        ("sessions never called, freed", found.uncalled_freed),
        ("holds open at the end", found.open_holds),
        ("owed at the end, micro-credits", found.owed_micro),
    ):
        table.add_row(name, str(figure))
    console.print(table)
    points = Table("point", "kills")
    for name, number in sorted(found.at_points.items()):
        points.add_row(name, str(number))
    console.print(points)


def main(
    kills: Annotated[int, typer.Option(min=1)] = 500,
    seed: int = 1,
    workers: Annotated[int, typer.Option(min=1)] = 2,
    json_file: Annotated[Path | None, typer.Option("--json")] = None,
) -> None:
    """Kill the processes that book usage; exit code 1 when the ledger is wrong."""
    machine, console = this_machine(), Console(width=120)
    with tempfile.TemporaryDirectory(prefix="voicegate-ledger-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)  # as root, PostgreSQL runs as another account
        found = asyncio.run(_run(folder, kills, seed, workers))
    _show(console, found)
    write_results(json_file, machine, settings={"kills": kills, "seed": seed, "workers": workers}, outcome=found)
    if not found.exact:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
