"""PostgreSQL and Redis away under live calls: no call drops, and nothing acknowledged is lost.

``python -m benchmarks.outages [--outage-s 60] [--calls 12] [--json FILE]``

``voicegate serve --role all`` with its embedded services holds calls over WebSocket and WebRTC, whose callers ask
something every few seconds. PostgreSQL stands still (SIGSTOP) for so long, then Redis, then both; after that both are
killed (``kill -9``) where they stand, and voicegate starts them again. Meanwhile somebody reads the conversations and
changes something through the control API, twice a second. Columns:

``told``, ``answered``
    Events that clients got during the outage, and answers that began.
``fresh``, ``stale``, ``refused``
    Reads by how they were answered; ``changes``: those that were accepted.
``slowest ms``
    The slowest answer of the API, once it had had 5 s to notice.
``caught up s``
    From the end of the outage until Redis and the database have all that clients had been told by then.

Afterwards, of each call: ``dropped`` (it ended, or its connection did), ``missing`` and ``gaps`` (as in
:mod:`benchmarks.rolling`), and ``different``: turns that the database tells otherwise than the events that the client
got.
"""

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import aiohttp
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.gateway_process import free_port
from benchmarks.machine import this_machine
from benchmarks.outage_records import CATCH_UP_S, Judged, Records, judge_all
from benchmarks.results import write_results
from benchmarks.rolling import Gateway
from benchmarks.rolling_callers import Caller, Kind, talk
from benchmarks.standstill import Family, postmaster, redis_server, stop
from voicegate.embedded.postgres import PostgresConfig, embedded_postgres
from voicegate.embedded.redis import RedisConfig, embedded_redis
from voicegate.kernel.ids import new_session_id

KINDS: tuple[Kind, ...] = ("ws", "ws", "webrtc")
POSTGRES, REDIS, BOTH, KILLED = "PostgreSQL", "Redis", "both", "both, then killed"
NAMES = (POSTGRES, REDIS, BOTH, KILLED)
_PASSWORD = "of an outage only"
_EMAIL = "admin@voicegate.local"
_PROBE_EVERY_S = 0.5
_NOTICE_S = 5.0
_PATIENCE_S = 30.0
LIGHT = {"VOICEGATE_VAD": "webrtc", "VOICEGATE_STT": "openai", "OPENAI_API_KEY": "none"}
"""Callers type, so nobody need load what listens."""


@dataclass(slots=True)
class Outage:
    """One outage and what was seen of it."""

    name: str
    seconds: float
    told: int = 0
    answered: int = 0
    fresh: int = 0
    stale: int = 0
    refused: int = 0
    changes: int = 0
    slowest_ms: float = 0.0
    failures: list[str] = field(default_factory=list)
    """Answers of the API that nobody should get."""
    caught_up_s: float | None = None
    """None: not within the time allowed."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who uses the control API."""

    http: aiohttp.ClientSession
    url: str
    token: str

    async def look(self, outage: Outage, began_s: float) -> None:
        """Read and change something, and note how that went."""
        for method, path, body in (("GET", "/conversations?limit=20", None), ("POST", "/agents", {"name": "A"})):
            asked_s = time.monotonic()
            try:
                async with self.http.request(
                    method, f"{self.url}/api/v1{path}", json=body, headers={"Authorization": f"Bearer {self.token}"}
                ) as got:
                    await got.read()
                    self._note(outage, method, got)
            except (aiohttp.ClientError, TimeoutError) as error:
                outage.failures.append(type(error).__name__)
            if asked_s - began_s > _NOTICE_S:
                outage.slowest_ms = max(outage.slowest_ms, round((time.monotonic() - asked_s) * 1000, 1))

    @staticmethod
    def _note(outage: Outage, method: str, got: aiohttp.ClientResponse) -> None:
        match method, got.status:
            case "GET", 200 if got.headers.get("X-Voicegate-Stale"):
                outage.stale += 1
            case "GET", 200:
                outage.fresh += 1
            case "POST", 201:
                outage.changes += 1
            case _, 503 if "Retry-After" in got.headers:
                outage.refused += method == "GET"
            case _:
                outage.failures.append(f"{method} {got.status}")


@dataclass(frozen=True, slots=True)
class Running:
    """What runs."""

    gateway: Gateway
    data: Path
    api: str
    person: Person
    records: Records


@asynccontextmanager
async def running(folder: Path, environment: dict[str, str]) -> AsyncIterator[Running]:
    """``voicegate serve --role all``, its services adopted by us too, and somebody logged in."""
    data, port, api_port = folder / "data", free_port(), free_port()
    variables = {
        "VOICEGATE_DATA_DIR": str(data), "VOICEGATE_ROLE": "all", "VOICEGATE_API_PORT": str(api_port),
        "VOICEGATE_ADMIN_PASSWORD": _PASSWORD, "VOICEGATE_LATE_MS": "0", "VOICEGATE_DRAIN_S": "1", **environment,
    }  # fmt: skip
    gateway, api = Gateway(port, variables, folder / "voicegate.log"), f"http://127.0.0.1:{api_port}"
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)))
        stack.push_async_callback(_end, gateway)
        await gateway.start()
        await _until(lambda: _ready(http, api), _PATIENCE_S)
        redis = await stack.enter_async_context(embedded_redis(RedisConfig(directory=data / "redis")))
        database = await stack.enter_async_context(embedded_postgres(PostgresConfig(directory=data / "postgres")))
        credentials = {"email": _EMAIL, "password": _PASSWORD}
        async with http.post(f"{api}/api/v1/auth/login", json=credentials, raise_for_status=True) as got:
            token = (await got.json())["accessToken"]
        yield Running(gateway, data, api, Person(http, api, token), Records(redis, database))


async def _end(gateway: Gateway) -> None:
    """However far it came, nothing is left behind."""
    if gateway.process is not None and gateway.process.returncode is None:
        gateway.process.terminate()
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await gateway.process.wait()
        except TimeoutError:
            gateway.process.kill()


async def _ready(http: aiohttp.ClientSession, api: str) -> bool:
    try:
        async with http.get(f"{api}/health/ready") as got:
            return got.status == 200
    except aiohttp.ClientError:
        return False


async def _until(condition: Callable[[], Awaitable[bool]], within_s: float) -> None:
    async with asyncio.timeout(within_s):
        while not await condition():  # noqa: ASYNC110 - it is another process
            await asyncio.sleep(0.05)


async def go_through(place: Running, callers: list[Caller], outage: Outage, pids: list[int], *, kill: bool) -> None:
    """One outage, from its beginning until all has caught up."""
    events, answered, began_s = _events(callers), _answered(callers), time.monotonic()
    stopped: list[Family] = [stop(pid) for pid in pids]
    try:
        while time.monotonic() - began_s < outage.seconds:
            await place.person.look(outage, began_s)
            await asyncio.sleep(_PROBE_EVERY_S)
    finally:
        for family in stopped:
            family.kill() if kill else family.go_on()
    outage.told, outage.answered = _events(callers) - events, _answered(callers) - answered
    told = {caller.session_id: max(caller.seqs) for caller in callers}
    ended_s = time.monotonic()
    with contextlib.suppress(TimeoutError):
        await _until(lambda: place.records.have(told), CATCH_UP_S)
        outage.caught_up_s = round(time.monotonic() - ended_s, 2)


def _events(callers: list[Caller]) -> int:
    return sum(len(caller.texts) for caller in callers)


def _answered(callers: list[Caller]) -> int:
    return sum('"reply.started"' in text for caller in callers for text in caller.texts)


async def measure(
    outage_s: float, calls: int, progress: Console, *, names: tuple[str, ...] = NAMES, warm_s: float = 8.0
) -> tuple[list[Outage], Judged]:
    """The whole run: outages by their names."""
    with tempfile.TemporaryDirectory(prefix="voicegate-outages-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # noqa: ASYNC240 - as root, PostgreSQL runs as another account
        async with running(folder, LIGHT) as place:
            url = f"ws://127.0.0.1:{place.gateway.port}"
            callers = [Caller(KINDS[n % len(KINDS)], new_session_id()) for n in range(calls)]
            over = asyncio.Event()
            async with asyncio.TaskGroup() as tasks:
                calls_held = [tasks.create_task(talk(caller, url, over)) for caller in callers]
                await _until(lambda: _all_answered(callers), _PATIENCE_S + calls)
                await place.person.look(Outage("before", 0.0), time.monotonic())
                await asyncio.sleep(warm_s)
                outages = await _all_outages(place, callers, outage_s, names, progress)
                over.set()
                while not all(task.done() for task in calls_held):  # nobody hears the last answer to its end
                    for caller in callers:
                        caller.finished.set()
                    await asyncio.sleep(0.1)
            return outages, await judge_all(callers, place.records)


async def _all_answered(callers: list[Caller]) -> bool:
    return all(any('"reply.started"' in text for text in caller.texts) for caller in callers)


async def _all_outages(
    place: Running, callers: list[Caller], seconds: float, names: tuple[str, ...], progress: Console
) -> list[Outage]:
    found = []
    for name in names:
        pids = [] if name == REDIS else [postmaster(place.data / "postgres")]
        pids += [] if name == POSTGRES else [redis_server(place.data / "redis")]
        outage = Outage(name, seconds)
        await go_through(place, callers, outage, pids, kill=name == KILLED)
        progress.print(f"without {name}: caught up after {outage.caught_up_s} s")
        found.append(outage)
    return found


def show(console: Console, outages: list[Outage], judged: Judged) -> None:
    """As tables."""
    table = Table(title="Without", title_justify="left")
    for column in (
        "",
        "s",
        "told",
        "answered",
        "fresh",
        "stale",
        "refused",
        "changes",
        "slowest ms",
        "caught up s",
        "failures",
    ):
        table.add_column(column, justify="right" if column else "left")
    for each in outages:
        counts = (
            each.told,
            each.answered,
            each.fresh,
            each.stale,
            each.refused,
            each.changes,
            each.slowest_ms,
            each.caught_up_s,
        )
        table.add_row(each.name, f"{each.seconds:g}", *map(str, counts), ", ".join(sorted(set(each.failures))))
    console.print(table)
    lost = f"dropped {judged.dropped}, missing {judged.missing}, gaps {judged.gaps}, different {judged.different}"
    console.print(f"{judged.calls} calls, {judged.events} events, {judged.turns} turns: {lost}")
    for how in judged.how:
        console.print(f"dropped: {how}")


def main(
    outage_s: Annotated[float, typer.Option(min=1)] = 60.0,
    calls: Annotated[int, typer.Option(min=1)] = 12,
    json_file: Annotated[Path | None, typer.Option("--json")] = None,
) -> None:
    """Take services away under live calls; exit code 1 when something was lost or did not catch up."""
    machine, console = this_machine(), Console(width=120)
    outages, judged = asyncio.run(measure(outage_s, calls, console))
    show(console, outages, judged)
    settings = {"outage_s": outage_s, "calls": calls}
    write_results(json_file, machine, settings=settings, outages=outages, judged=judged)
    if not judged.well or any(each.failures or each.caught_up_s is None for each in outages):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
