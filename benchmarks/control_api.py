"""How quickly the control API answers when its database is big and calls are running.

``python -m benchmarks.control_api [--conversations 100000] [--calls 50] [--rate 100] [--seconds 60] [--json FILE]``

A real PostgreSQL is filled with a year of conversations, ten turns each (:mod:`benchmarks.filled_database`); the
control API runs in a process of its own, as ``voicegate serve --role control``, beside a gateway with simulated stages
that holds calls (:mod:`benchmarks.density`), which the API follows and stores as they go. Then requests come on a fixed
clock: every GET of the contract, and POSTs (:mod:`benchmarks.control_load`).

``ms``
    Of requests, from sending one to having its whole answer, as the client sees it.
``statement``
    Of SQL, as the API's own ``voicegate_api_statement_seconds`` counts it; p95 is the upper bound of its bucket.
``gap``
    Between the play times of two audio messages of a reply in the calls beside it; 20 ms is perfect.
"""

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import aiohttp
import psutil
import typer
import uvloop
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.table import Table

from benchmarks.control_load import API, CONFIGURATION, Target, address, reads, send, writes
from benchmarks.corpus import QUESTIONS
from benchmarks.density import asked, callers, cpu_s, gaps_ms, pin
from benchmarks.density_client import save_questions
from benchmarks.filled_database import fill
from benchmarks.gateway_process import RunningGateway, free_port, gateway
from benchmarks.machine import ROOT, this_machine
from benchmarks.overhead import Plan
from benchmarks.results import write_results
from benchmarks.server import Vad
from benchmarks.simulated import Latencies
from benchmarks.statistics import Spread, spread
from voicegate.embedded.postgres import PostgresConfig, embedded_postgres

EMAIL, START_S = "admin@voicegate.local", 60.0
GET_MS, POST_MS, STATEMENT_MS, GAP_MS = 50.0, 100.0, 20.0, 30.0
"""The goals."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One kind of SQL statement."""

    kind: str
    count: int
    mean_ms: float
    p95_at_most_ms: float


@dataclass(frozen=True, slots=True)
class Gaps:
    """In the replies of the calls beside it."""

    replies: int
    longest_ms: float
    p999_ms: float
    above_goal: int
    failures: list[str]


@dataclass(frozen=True, slots=True)
class Outcome:
    requests: dict[str, Spread]
    """Milliseconds by operation."""
    statuses: dict[str, dict[int, int]]
    statements: list[Statement]
    gaps: Gaps | None
    api_cpu_ms_per_request: float
    client_late_ms: Spread | None
    fill_s: float
    left_out: list[str]
    """Operations whose paths name what this benchmark does not know."""


@contextlib.asynccontextmanager
async def control_process(
    database_url: str, running: RunningGateway, folder: Path
) -> AsyncIterator[tuple[str, str, int]]:
    """The control API beside that gateway: its address, the password of its owner, its process id."""
    port, password = free_port(), secrets.token_urlsafe(12)
    assert running.data_dir is not None
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "codecs")]),
        "DATABASE_URL": database_url,
        "REDIS_URL": f"unix://{(running.data_dir / 'redis' / 'socket').read_text()}",
        "VOICEGATE_DATA_DIR": str(folder),
        "VOICEGATE_API_PORT": str(port),
        "VOICEGATE_API_RATE": "10000",
        "VOICEGATE_ADMIN_PASSWORD": password,
        "VOICEGATE_TOKEN_SECRET": secrets.token_urlsafe(32),
        "VOICEGATE_LOG_FORMAT": "json",
        "VOICEGATE_LOG_LEVEL": "warning",
    }
    with (folder / "api.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "voicegate", "serve", "--role", "control"), env=environment, stdout=log, stderr=log
        )
    url = f"http://127.0.0.1:{port}"
    try:
        await _ready(url, process, folder / "api.log")
        yield url, password, process.pid
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _ready(url: str, process: asyncio.subprocess.Process, log: Path) -> None:
    async with asyncio.timeout(START_S), aiohttp.ClientSession() as http:
        while process.returncode is None:
            with contextlib.suppress(aiohttp.ClientError):
                async with http.get(f"{url}/health/ready") as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.1)
    raise RuntimeError(f"the control API ended:\n{_tail(log)}")


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:]


async def prepared(url: str, password: str, database_url: str, conversations: int) -> tuple[Target, float]:
    """A full database, and somebody who may read it; and how long filling took."""
    async with aiohttp.ClientSession(url) as http:

        async def post(path: str, body: object) -> Any:
            async with http.post(API + path, json=body) as response:
                assert response.status in (200, 201), await response.text()
                return await response.json()

        login = await post("/auth/login", {"email": EMAIL, "password": password})
        http.headers["Authorization"] = f"Bearer {login['accessToken']}"
        organization = UUID(login["user"]["organizationId"])
        agent = (await post("/agents", {"name": "Published", "configuration": CONFIGURATION}))["id"]
        await post(f"/agents/{agent}/publish", {})
        await post("/credits/grants", {"amountMicro": 10**12, "reason": "for measuring"})
    began = time.perf_counter()
    filled = await fill(database_url, conversations, organization, UUID(int=1))
    took_s = time.perf_counter() - began
    return Target(url, login["accessToken"], organization, filled, agent, EMAIL, password), took_s


async def measure(conversations: int, calls: int, rate_hz: float, seconds: float) -> Outcome:
    """One run."""
    folder = _open_folder()
    plan = Plan(Latencies(), 250, speculate=True, vad=Vad.SILERO)
    settings = {"VOICEGATE_MAX_CALLS": str(calls + 1)}
    try:
        async with (
            embedded_postgres(PostgresConfig(directory=folder / "postgres")) as database_url,
            gateway(None, module="benchmarks.server", options=plan.options(), settings=settings) as running,
            control_process(database_url, running, folder) as (url, password, pid),
        ):
            target, fill_s = await prepared(url, password, database_url, conversations)
            return await _measured(target, fill_s, running, psutil.Process(pid), calls, rate_hz, seconds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _open_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="voicegate-control-"))
    folder.chmod(0o755)  # as root, PostgreSQL runs as another account
    return folder


async def _measured(
    target: Target,
    fill_s: float,
    running: RunningGateway,
    api: psutil.Process,
    calls: int,
    rate_hz: float,
    seconds: float,
) -> Outcome:
    contract = json.loads((ROOT / "contract" / "openapi.json").read_text())
    every = [*reads(contract), *writes(target)]
    operations = [each for each in every if address(each, target, 1) is not None]
    left_out = [each.name for each in every if each not in operations]
    await send(target, operations, 20, 3)  # the pool is open, the planner has met everything
    async with _beside(running, calls, seconds) as written:
        before, used_s = await _statements(target.url), cpu_s(api)
        answers = await send(target, operations, rate_hz, seconds)
        used_s = cpu_s(api) - used_s
        after = await _statements(target.url)
    return Outcome(
        requests={name: found for name, took in sorted(answers.took_ms.items()) if (found := spread(took))},
        statuses=answers.statuses,
        statements=[each for kind in sorted(after) if (each := _statement(kind, before.get(kind, {}), after[kind]))],
        gaps=_gaps(written) if calls else None,
        api_cpu_ms_per_request=round(used_s * 1000 / max(1, sum(map(len, answers.took_ms.values()))), 2),
        client_late_ms=spread(answers.late_ms),
        fill_s=round(fill_s, 1),
        left_out=left_out,
    )


@contextlib.asynccontextmanager
async def _beside(running: RunningGateway, calls: int, seconds: float) -> AsyncIterator[list[dict[str, Any]]]:
    """Calls, while entered."""
    if not calls:
        yield []
        return
    assert running.pid is not None
    pin(psutil.Process(running.pid), first=True)
    with tempfile.TemporaryDirectory(prefix="voicegate-control-") as folder:
        speech = Path(folder, "questions.npz")
        save_questions(speech, await asked(QUESTIONS[:1]))
        port = int(running.url.rpartition(":")[2])
        async with callers(port, calls, seconds, speech) as written:
            yield written


async def _statements(url: str) -> dict[str, dict[float, float]]:
    """Counts by kind and upper bound in seconds; the sum of all under -1."""
    async with aiohttp.ClientSession() as http, http.get(f"{url}/metrics") as response:
        text = await response.text()
    found: dict[str, dict[float, float]] = {}
    for family in text_string_to_metric_families(text):
        if family.name != "voicegate_api_statement_seconds":
            continue
        for sample in family.samples:
            kinds = found.setdefault(sample.labels["statement"], {})
            if sample.name.endswith("_bucket"):
                kinds[float(sample.labels["le"])] = sample.value
            elif sample.name.endswith("_sum"):
                kinds[-1.0] = sample.value
    return found


def _statement(kind: str, before: dict[float, float], after: dict[float, float]) -> Statement | None:
    counts = {bound: after[bound] - before.get(bound, 0.0) for bound in after}
    total_s = counts.pop(-1.0)
    count = counts[float("inf")]
    if not count:
        return None
    p95_s = min(bound for bound, below in counts.items() if below >= 0.95 * count)
    return Statement(kind, round(count), round(total_s / count * 1000, 2), round(p95_s * 1000, 1))


def _gaps(clients: Iterable[dict[str, Any]]) -> Gaps:
    clients = list(clients)
    replies = [turn["arrivals"] for each in clients for turn in each["turns"] if turn["arrivals"]]
    gaps = sorted(gap for arrivals in replies for gap in gaps_ms(arrivals))
    if not gaps:
        return Gaps(0, 0.0, 0.0, 0, ["no replies"])
    return Gaps(
        replies=len(replies),
        longest_ms=round(gaps[-1], 1),
        p999_ms=round(gaps[int(len(gaps) * 0.999)], 1),
        above_goal=sum(gap > GAP_MS for gap in gaps),
        failures=[failure for each in clients for failure in each["failures"]],
    )


def main(
    conversations: Annotated[int, typer.Option(min=5, help="In the database, ten turns each.")] = 100_000,
    calls: Annotated[int, typer.Option(min=0, help="Beside it.")] = 50,
    rate: Annotated[float, typer.Option(min=1, help="Requests a second.")] = 100.0,
    seconds: Annotated[float, typer.Option(min=5)] = 60.0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all results here.")] = None,
) -> None:
    """Measure the control API on a big database."""
    machine, console = this_machine(), Console()
    outcome = uvloop.run(measure(conversations, calls, rate, seconds))
    show(console, outcome)
    settings = {"conversations": conversations, "turns": conversations * 10, "calls": calls, "rate": rate,
                "seconds": seconds}  # fmt: skip
    write_results(json_file, machine, settings=settings, outcome=outcome)


def show(console: Console, outcome: Outcome) -> None:
    """The tables, what misses its goal in red."""
    table = Table("operation", "count", "p50", "p95", "max", "answers", title="Requests, ms", title_justify="left")
    for name, took in outcome.requests.items():
        goal = GET_MS if name.startswith("GET") else POST_MS
        p95 = f"[red]{took.p95}[/]" if took.p95 > goal else str(took.p95)
        answers = " ".join(f"{status}:{count}" for status, count in sorted(outcome.statuses[name].items()))
        table.add_row(name, str(took.count), str(took.median), p95, str(took.worst), answers)
    console.print(table)
    table = Table("statement", "count", "mean", "p95 at most", title="SQL, ms", title_justify="left")
    for each in outcome.statements:
        bound = each.p95_at_most_ms
        table.add_row(
            each.kind, str(each.count), str(each.mean_ms), f"[red]{bound}[/]" if bound > STATEMENT_MS else str(bound)
        )
    console.print(table)
    if outcome.gaps is not None:
        gaps = outcome.gaps
        console.print(f"calls: {gaps.replies} replies, longest gap {gaps.longest_ms} ms, p99.9 {gaps.p999_ms} ms, "
                      f"{gaps.above_goal} above {GAP_MS:g} ms; failures {gaps.failures[:2]}")  # fmt: skip
    late = outcome.client_late_ms
    console.print(f"API: {outcome.api_cpu_ms_per_request} ms of a core a request; filled in {outcome.fill_s} s; "
                  f"requests left late by p95 {late.p95 if late else 0} ms; left out: {outcome.left_out}")  # fmt: skip


if __name__ == "__main__":
    typer.run(main)
