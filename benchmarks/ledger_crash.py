"""Proof that the ledger is exact under any crash: ``python -m benchmarks.ledger_crash --kills 500``.

A gateway's journal writes calls with usage into a real Redis. Two processes at a time book them in a real PostgreSQL,
and are killed with SIGKILL, at named points of their work and at random; deliveries are doubled, shuffled and late.
Some calls die without a word: their holds must come back within the time of a lease and five seconds. At the end every
call must have cost what it used, to the micro-credit; and at no moment may an organisation have less than its holds.
"""

import asyncio
import multiprocessing
import random
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Annotated, Any

import psycopg
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.ledger_error import error_micro
from benchmarks.ledger_stage import (
    CREDITS,
    ORPHAN_BOUND_S,
    STATE,
    Found,
    Stage,
    gateway_of,
    grants,
    make_organization,
    talk,
)
from benchmarks.ledger_worker import POINTS, Orders, work
from benchmarks.machine import this_machine
from benchmarks.results import write_results
from control_api.db.database import Database, DatabaseConfig
from control_api.db.migrations import committed, migrate
from voicegate.embedded.postgres import PostgresConfig, embedded_postgres
from voicegate.embedded.redis import RedisConfig, embedded_redis

_TOKEN_S = 2.0
_NEEDED = (
    "benchmarks.machine",
    "rich.table",
    "typer",
    "voicegate.embedded.postgres",
    "voicegate.embedded.redis",
    "sessions.journal",
)
"""Modules that a process would otherwise import after it was forked."""
_CATCH_UP_S = 120.0
_WAIT_S = 10.0
"""How long a process may take to come to its point."""
_EVERY_S = 0.1


async def prove(
    database_url: str,
    redis_url: str,
    *,
    kills: int,
    seed: int = 1,
    calls: int = 3,
    workers: int = 2,
    minutes: float = 60.0,
) -> Found:
    """Run it on these services; the database has its tables and nothing in them. No more are killed after
    ``minutes``."""
    dice = random.Random(seed)
    database = Database(DatabaseConfig(database_url))
    organizations = tuple([await make_organization(database_url) for _ in range(2)])
    stage = Stage(database_url, redis_url, organizations, database, dice, Found())
    began_s = stage.clock.monotonic()
    async with gateway_of(stage) as gateway:
        over, done = asyncio.Event(), asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_watch(stage, done))
            tasks.create_task(grants(stage, over))
            talking = [tasks.create_task(talk(stage, gateway, over)) for _ in range(calls)]
            await _kill(stage, kills, workers, minutes)
            over.set()
            await asyncio.gather(*talking)
            await _catch_up(stage)
            await asyncio.sleep(0.2)
            done.set()
    await _judge(stage)
    stage.found.passed_s = round(stage.clock.monotonic() - began_s, 1)
    await database.aclose()
    return stage.found


# --- who dies ---


async def _kill(stage: Stage, kills: int, workers: int, minutes: float) -> None:
    """Keep so many processes at work until so many were killed."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.ledger_worker", "benchmarks.ledger_error", *_NEEDED])
    points = [point.name for point in POINTS]
    planned = [points[number % len(points)] if number % 3 else "" for number in range(kills)]
    stage.dice.shuffle(planned)
    until_s = stage.clock.monotonic() + minutes * 60
    async with asyncio.TaskGroup() as tasks:
        for _ in range(workers):
            tasks.create_task(_lives(stage, context, planned, until_s))


async def _lives(stage: Stage, context: ForkServerContext, planned: list[str], until_s: float) -> None:
    while planned and stage.clock.monotonic() < until_s:
        point = planned.pop()
        process = await _begin(stage, context, point)
        by_itself = await _wait(process, _WAIT_S)
        if not by_itself:  # what it waits for does not happen now
            process.kill()
            await _wait(process, 30)
        if process.exitcode != -signal.SIGKILL:
            raise RuntimeError(f"a process ended by itself, with {process.exitcode}: see what it said")
        found = stage.found
        found.kills += 1
        if found.kills % 50 == 0:
            print(f"{found.kills} killed", flush=True)
        if point and by_itself:
            found.at_points[point] = found.at_points.get(point, 0) + 1
        else:
            found.at_random += 1
        process.close()


async def _begin(
    stage: Stage,
    context: ForkServerContext,
    point: str = "",
    *,
    mortal: bool = True,
    disorder: bool = True,
    sessions: bool = True,
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
        stage.dice.randint(0, 4),
        stage.dice.uniform(0, 0.3) if mortal else -1.0,
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
    processes = [await _begin(stage, context, mortal=False, disorder=False, sessions=False) for _ in range(2)]
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
        found.error_of_calls_micro = sum(abs(used.get(each, 0) - stage.expected.get(each, 0)) for each in calls)
        found.error_micro = found.error_of_calls_micro
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


async def _run(folder: Path, kills: int, seed: int, workers: int, minutes: float) -> Found:
    async with AsyncExitStack() as stack:
        redis_url = await stack.enter_async_context(embedded_redis(RedisConfig(directory=folder / "redis")))
        postgres = PostgresConfig(directory=folder / "postgres")
        database_url = await stack.enter_async_context(embedded_postgres(postgres))
        await migrate(database_url, committed())
        return await prove(database_url, redis_url, kills=kills, seed=seed, workers=workers, minutes=minutes)


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
    minutes: float = 60.0,
    json_file: Annotated[Path | None, typer.Option("--json")] = None,
) -> None:
    """Kill the processes that book usage; exit code 1 when the ledger is wrong."""
    machine, console = this_machine(), Console(width=120)
    with tempfile.TemporaryDirectory(prefix="voicegate-ledger-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)  # as root, PostgreSQL runs as another account
        found = asyncio.run(_run(folder, kills, seed, workers, minutes))
    _show(console, found)
    write_results(json_file, machine, settings={"kills": kills, "seed": seed, "workers": workers}, outcome=found)
    if not found.exact:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
