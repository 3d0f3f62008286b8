"""A hundred requests a second to the control API: every GET of its contract, and POSTs as a frontend sends them.

The order is a shuffled deck: each GET three times, each POST once, as a frontend reads more than it writes. Requests
leave on a fixed clock, whether or not earlier ones are answered; the time of one is from handing it to the socket's
library to having all of the answer. Left out are streams, which last as long as one likes, and the export of all calls.
"""

import asyncio
import contextlib
import itertools
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import aiohttp

from benchmarks.filled_database import BUSY_AGENTS, Filled

API = "/api/v1"
READS_A_WRITE = 3
PATIENCE_S = 20.0
NO_ANSWER = 0
"""Status of a request that was given up."""
_LONG = ("text/event-stream", "application/x-ndjson")
CONFIGURATION = {"greeting": "Hello.", "knowledge": [{"topic": "hours", "text": "We open at nine."}]}
_TURNS = [{"userText": f"question {n}", "agentText": f"answer {n}"} for n in range(10)]


@dataclass(frozen=True, slots=True)
class Operation:
    """One of the contract's; ``path`` with its parameters in braces."""

    method: str
    path: str
    name: str
    queries: tuple[str, ...] = ("",)
    body: Any = None


@dataclass(slots=True)
class Answers:
    """What came back."""

    took_ms: dict[str, list[float]] = field(default_factory=dict)
    """By operation."""
    statuses: dict[str, dict[int, int]] = field(default_factory=dict)
    late_ms: list[float] = field(default_factory=list)
    """How much later than by the clock requests left: our own slowness."""

    def note(self, operation: Operation, status: int, took_ms: float) -> None:
        name = f"{operation.method} {operation.name}"
        self.took_ms.setdefault(name, []).append(took_ms)
        counts = self.statuses.setdefault(name, {})
        counts[status] = counts.get(status, 0) + 1


@dataclass(frozen=True, slots=True)
class Target:
    """Whom to ask, as whom, and about what."""

    url: str
    token: str
    organization: UUID
    filled: Filled
    published_agent: str
    email: str
    password: str


def reads(contract: dict[str, Any]) -> list[Operation]:
    """Every GET that answers and is done."""
    found = []
    for path, item in contract["paths"].items():
        operation = item.get("get")
        if operation is None or any(kind in operation["responses"]["200"].get("content", {}) for kind in _LONG):
            continue
        queries = tuple(dict.fromkeys(["", *_queries(operation)]))
        found.append(Operation("GET", path, operation["operationId"], queries))
    return found


def _queries(operation: dict[str, Any]) -> Iterator[str]:
    for parameter in operation.get("parameters", ()):
        schema = parameter["schema"]
        if parameter["in"] != "query":
            continue
        if parameter["name"] == "limit":
            yield "?limit=100"
        for each in (schema, *schema.get("anyOf", ())):
            yield from (f"?{parameter['name']}={value}" for value in each.get("enum", ()))


def writes(target: Target) -> list[Operation]:
    """POSTs that a frontend sends."""
    login = {"email": target.email, "password": target.password}
    agent = {"name": "New", "configuration": CONFIGURATION}
    published = f"{API}/agents/{target.published_agent}"
    return [
        Operation("POST", f"{API}/auth/login", "auth.login", body=login),
        Operation("POST", f"{API}/agents", "agents.create", body=agent),
        Operation("POST", f"{API}/agents/{{agentId}}/duplicate", "agents.duplicate", body={}),
        Operation("POST", f"{published}/validate", "agents.validate", body={}),
        Operation("POST", f"{published}/publish", "agents.publish", body={}),
        Operation("POST", f"{published}/sessions", "agents.beginSession", body={}),
        Operation("POST", f"{API}/conversations", "conversations.create", body={"turns": _TURNS}),
        Operation("POST", f"{API}/credits/estimate", "credits.estimate", body={"seconds": 600}),
        Operation("POST", f"{API}/credits/grants", "credits.grant", body={"amountMicro": 1_000, "reason": "bench"}),
    ]


def address(operation: Operation, target: Target, number: int) -> str | None:
    """The path and query of the ``number``-th request; None if a parameter of the path is not known here."""
    path = operation.path.replace("{organizationId}", str(target.organization)).replace("{version}", "1")
    for name, table in target.filled.places.items():
        parameter = f"{{{name}}}"
        if parameter in path:
            count = BUSY_AGENTS if table == "agents" else target.filled.rows[table]
            path = path.replace(parameter, str(target.filled.id_of(table, _ours(number * 7919 % count))))
    if "{" in path:
        return None
    return path + operation.queries[number % len(operation.queries)]


def _ours(row: int) -> int:
    """A row of our organisation: every fifth one is not."""
    return row if row % 5 else row + 1


async def send(target: Target, operations: Sequence[Operation], rate_hz: float, seconds: float) -> Answers:
    """Send them for ``seconds``."""
    answers, numbers = Answers(), itertools.count(1)
    headers = {"Authorization": f"Bearer {target.token}"}
    deck: list[Operation] = []
    shuffled = random.Random(1)
    connector, patience = aiohttp.TCPConnector(limit=100), aiohttp.ClientTimeout(total=PATIENCE_S)
    async with (
        aiohttp.ClientSession(target.url, headers=headers, connector=connector, timeout=patience) as http,
        asyncio.TaskGroup() as group,
    ):
        began = time.perf_counter()
        for number in range(round(rate_hz * seconds)):
            due = began + number / rate_hz
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            answers.late_ms.append(max(0.0, (time.perf_counter() - due) * 1000))
            if not deck:
                deck = [each for each in operations for _ in range(READS_A_WRITE if each.method == "GET" else 1)]
                shuffled.shuffle(deck)
            operation = deck.pop()
            path = address(operation, target, next(numbers))
            assert path is not None
            group.create_task(_ask(http, operation, path, answers))
    return answers


async def _ask(http: aiohttp.ClientSession, operation: Operation, path: str, answers: Answers) -> None:
    headers = {"Idempotency-Key": str(uuid4())} if operation.method == "POST" else {}
    began = time.perf_counter()
    status = NO_ANSWER
    with contextlib.suppress(TimeoutError, aiohttp.ClientError):
        async with http.request(operation.method, path, json=operation.body, headers=headers) as response:
            await response.read()
            status = response.status
    answers.note(operation, status, (time.perf_counter() - began) * 1000)
