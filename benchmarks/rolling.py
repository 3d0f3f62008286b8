"""Rolling restarts under live calls: nothing that was acknowledged is lost.

``python -m benchmarks.rolling [--restarts 10] [--calls 30] [--json FILE]``

Two gateways with the embedded engines share one Redis behind a plain TCP balancer. A third of the calls come over the
WebSocket, a third over WebRTC, a third from a simulated Twilio. Each caller asks something every few seconds: by text,
or by telephone keys. One gateway after the other is told to end (SIGTERM) and started again; the callers do what their
kind does when a connection ends: resume, or ask the carrier's ``action``. Afterwards:

``lost``
    Calls whose conversation ended before their callers hung up.
``missing``
    Events that a client had been sent (so they were acknowledged to it) and Redis does not have, and turns whose
    words are not in the stored transcript.
``gaps``
    Sequence numbers that a client never got, or got twice.
"""

import asyncio
import contextlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import aiohttp
import typer
from redis.asyncio import Redis
from rich.console import Console
from rich.table import Table

from benchmarks.gateway_process import free_port
from benchmarks.machine import ROOT, this_machine
from benchmarks.results import write_results
from sessions.keys import PREFIX, session_keys
from sessions.transcript import decode_entry
from voicegate.client.carriers.phone import PhoneCall
from voicegate.client.carriers.target import PhoneTarget
from voicegate.client.connection import CallFailed, CallTarget, Resume, connect
from voicegate.client.webrtc import connect_whip
from voicegate.kernel.events import decode
from voicegate.kernel.ids import new_session_id

QUESTIONS = ("What time is it?", "What are your opening hours?", "Tell me about Mill Lane.", "How much is it?")
_READY_S = 60.0
_PAUSE_S = (0.5, 3.0)
"""From an answer to the next question."""
_PATIENCE_S = 15.0
"""Longest wait for an answer before asking again."""
_PHONE_PAUSE_S = (8.0, 14.0)
"""Between two entries by keys: a phone is told no events."""
_AGAIN_S = 0.3
_WARM_S = 8.0
"""Before the first restart."""
_TWILIO_TOKEN = "a-token-for-a-simulated-carrier"
Kind = Literal["ws", "webrtc", "twilio"]
KINDS: tuple[Kind, ...] = ("ws", "webrtc", "twilio")


@dataclass
class Gateway:
    """One process, started again and again on its port."""

    port: int
    environment: dict[str, str]
    log: Path
    process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        variables = {**os.environ, **self.environment, "VOICEGATE_PORT": str(self.port)}
        variables["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "codecs")])
        with self.log.open("ab") as output:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "voicegate", "serve", stdout=output, stderr=output, env=variables, cwd=ROOT
            )
        async with asyncio.timeout(_READY_S), aiohttp.ClientSession() as http:
            while not await _ready(http, self.port):  # noqa: ASYNC110 - it is another process
                await asyncio.sleep(0.1)

    async def stop(self) -> int:
        """SIGTERM, and the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return await self.process.wait()


async def _ready(http: aiohttp.ClientSession, port: int) -> bool:
    try:
        async with http.get(f"http://127.0.0.1:{port}/health/ready") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


@asynccontextmanager
async def balanced(port: int, gateways: list[Gateway]) -> AsyncIterator[None]:
    """Connections to ``port`` go round robin to the gateways that are ready."""
    turn = 0
    async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as tasks:

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal turn
            for _ in gateways:
                turn += 1
                gateway = gateways[turn % len(gateways)]
                if await _ready(http, gateway.port):
                    inner = await asyncio.open_connection("127.0.0.1", gateway.port)
                    await asyncio.gather(_copy(reader, inner[1]), _copy(inner[0], writer))
                    return
            writer.close()

        server = await asyncio.start_server(
            lambda reader, writer: tasks.create_task(serve(reader, writer)) and None, "127.0.0.1", port
        )
        try:
            yield
        finally:
            server.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    writer.close()


@dataclass
class Caller:
    """What one caller was told over all connections."""

    kind: Kind
    session_id: str
    """Of a phone: the caller's number, until the gateway's id is known."""
    seqs: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    """The events as they came, JSON."""
    connections: int = 0
    asked: int = 0
    ended: str = ""
    """Why the call ended before its caller hung up."""
    secret: str = ""
    finished: asyncio.Event = field(default_factory=asyncio.Event)
    """An answer was heard to its end."""
    longest_away_s: float = 0.0


async def talk(caller: Caller, url: str, over: asyncio.Event) -> None:
    """A caller with events: asks, and resumes whenever the connection ends."""
    away_since = time.monotonic()
    async with aiohttp.ClientSession() as http:
        while not (over.is_set() or caller.ended):
            resume = Resume(caller.secret, max(caller.seqs, default=0)) if caller.secret else None
            target = CallTarget(caller.session_id, url=url, via=_via(caller.kind), greeting=False, resume=resume)
            try:
                socket: Any = await (connect_whip if caller.kind == "webrtc" else connect)(http, target)
            except CallFailed:
                await asyncio.sleep(_AGAIN_S)
                continue
            if caller.connections:
                caller.longest_away_s = max(caller.longest_away_s, time.monotonic() - away_since)
            caller.connections += 1
            await _converse(caller, socket, resume, over)
            away_since = time.monotonic()
            await socket.close()


def _via(kind: Kind) -> Literal["ws", "webrtc"]:
    return "webrtc" if kind == "webrtc" else "ws"


async def _converse(caller: Caller, socket: Any, resume: Resume | None, over: asyncio.Event) -> None:
    """One connection, to its end."""
    async with asyncio.TaskGroup() as tasks:
        if caller.kind == "ws":
            first: dict[str, object] = {"type": "session.start", "greeting": False}
            if resume is not None:
                first = {"type": "session.resume", "secret": resume.secret, "lastSeq": resume.last_seq}
            await socket.send_str(json.dumps(first))
        asking = tasks.create_task(_ask(caller, socket, over))
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                _told(caller, message.data)
        asking.cancel()


def _told(caller: Caller, text: str) -> None:
    message = json.loads(text)
    match message["type"]:
        case "session.welcome":
            caller.secret = message["resumeSecret"]
        case "reply.finished":
            caller.finished.set()
        case "session.ended":
            caller.ended = message["reason"]
    if "seq" in message:
        caller.seqs.append(message["seq"])
        caller.texts.append(text)


async def _ask(caller: Caller, socket: Any, over: asyncio.Event) -> None:
    try:
        while not over.is_set():
            await asyncio.sleep(random.uniform(*_PAUSE_S))
            caller.finished.clear()
            await socket.send_str(json.dumps({"type": "text", "text": QUESTIONS[caller.asked % len(QUESTIONS)]}))
            caller.asked += 1
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE_S):
                    await caller.finished.wait()
        await socket.send_str('{"type":"session.end"}')
    except ConnectionError:
        return  # the reader sees the end, and the next connection asks again


async def phone(caller: Caller, url: str, over: asyncio.Event, number: str) -> None:
    """A caller on the phone: presses keys; the carrier asks its action when the stream ends."""
    async with PhoneCall(PhoneTarget("twilio", url, secret=_TWILIO_TOKEN, caller=number)) as call:
        while not over.is_set() and call.failure is None:
            await asyncio.sleep(random.uniform(*_PHONE_PAUSE_S))
            try:
                call.press(f"{caller.asked % 10}#")
                caller.asked += 1
            except CallFailed:
                continue  # between two streams
        caller.ended = call.failure or ""
        caller.connections = call.streams
        if not caller.ended:
            await call.hang_up()


@dataclass(frozen=True, slots=True)
class Outcome:
    """One kind of call."""

    kind: Kind
    calls: int
    lost: int
    """Conversations that ended before their callers hung up."""
    connections: int
    """Beyond the first of each call."""
    asked: int
    answered: int
    missing: int
    gaps: int
    begun_twice: int
    """Calls that Redis has more than one beginning of."""
    longest_away_s: float


async def judge(caller: Caller, redis: Redis) -> tuple[int, int, int, int]:
    """Missing events or words, gaps, further beginnings, and answers, of one call."""
    keys = session_keys(caller.session_id)
    entries: Any = await redis.xrange(keys.events)
    stored: dict[int, bytes] = {decode(fields[b"e"]).seq: fields[b"e"] for _, fields in entries}
    events = [json.loads(each) for each in stored.values()]
    begun = sum(each["type"] == "session.started" and not each.get("resumed") for each in events)
    told = [json.loads(text) for text in caller.texts if stored.get(json.loads(text)["seq"], b"").decode() != text]
    kept: Any = await redis.hvals(keys.transcript)
    said = {(entry.turn, entry.role): entry.text for entry in map(decode_entry, kept)}
    unsaid = [
        each for each in events if each["type"] == "turn.committed" and said.get((each["turn"], "user")) != each["text"]
    ]
    missing = len(told) + len(unsaid)
    for what, found in (("told, but not stored so", told), ("committed, but not in the transcript so", unsaid)):
        for each in found:  # while Redis is away, clients are told what is not stored yet
            away = any('"state_away"' in text for text in caller.texts)
            print(f"{caller.kind} {caller.session_id}: {what} (state_away: {away}): {each}", file=sys.stderr)
    gaps = len(caller.seqs) - len(set(caller.seqs))
    gaps += (max(caller.seqs) - len(set(caller.seqs))) if caller.seqs else 0
    answered = sum(each["type"] == "reply.finished" for each in events)
    return missing, gaps, max(0, begun - 1), answered


async def by_number(redis: Redis) -> dict[str, str]:
    """Session ids by the caller's number."""
    found = {}
    async for key in redis.scan_iter(match=f"{PREFIX}*"):
        name = key.decode().removeprefix(PREFIX)
        if ":" not in name:
            context = json.loads(await redis.hget(key, "context") or b"{}")
            found[context.get("caller", "")] = name
    return found


async def roll(gateways: list[Gateway], restarts: int, progress: Console) -> list[int]:
    """One gateway after the other ends and starts again; their exit codes."""
    codes = []
    for number in range(restarts):
        gateway = gateways[number % len(gateways)]
        codes.append(await gateway.stop())
        await gateway.start()
        progress.print(f"restart {number + 1} of {restarts}: exit code {codes[-1]}")
        await asyncio.sleep(2)
    return codes


async def measure(restarts: int, calls: int, progress: Console) -> tuple[list[Outcome], list[int]]:
    """The whole run."""
    port = free_port()
    url = f"ws://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory(prefix="voicegate-rolling-") as folder:
        environment = {
            "VOICEGATE_DATA_DIR": str(Path(folder, "data")), "VOICEGATE_DRAIN_S": "1", "VOICEGATE_LATE_MS": "0",
            "VOICEGATE_PUBLIC_URL": f"http://127.0.0.1:{port}", "TWILIO_AUTH_TOKEN": _TWILIO_TOKEN,
        }  # fmt: skip
        gateways = [Gateway(free_port(), environment, Path(folder, f"{n}.log")) for n in range(2)]
        async with AsyncExitStack() as stack:
            for gateway in gateways:
                await gateway.start()
                stack.push_async_callback(gateway.stop)
            await stack.enter_async_context(balanced(port, gateways))
            callers = [
                Caller(KINDS[n % 3], f"+1555{n:07}" if KINDS[n % 3] == "twilio" else new_session_id())
                for n in range(calls)
            ]
            over = asyncio.Event()
            async with asyncio.TaskGroup() as tasks:
                for caller in callers:
                    tasks.create_task(
                        phone(caller, url, over, caller.session_id)
                        if caller.kind == "twilio"
                        else talk(caller, url, over)
                    )
                await asyncio.sleep(_WARM_S)
                codes = await roll(gateways, restarts, progress)
                over.set()
            socket = Path(folder, "data", "redis", "socket").read_text()  # noqa: ASYNC240 - everybody has hung up
            async with Redis(unix_socket_path=socket) as redis:
                return await outcomes(callers, redis), codes


async def outcomes(callers: list[Caller], redis: Redis) -> list[Outcome]:
    """What became of each kind of call."""
    numbers = await by_number(redis)
    found = []
    for kind in KINDS:
        own = [caller for caller in callers if caller.kind == kind]
        judged = []
        for caller in own:
            caller.session_id = numbers.get(caller.session_id, caller.session_id)
            judged.append(await judge(caller, redis))
        missing, gaps, twice, answered = (sum(column) for column in zip(*judged, strict=True))
        lost = sum(bool(caller.ended) and caller.ended != "client" for caller in own)
        connections = sum(caller.connections - 1 for caller in own)
        asked = sum(caller.asked for caller in own)
        away_s = round(max(caller.longest_away_s for caller in own), 2)
        found.append(Outcome(kind, len(own), lost, connections, asked, answered, missing, gaps, twice, away_s))
    return found


def show(console: Console, found: list[Outcome], codes: list[int]) -> None:
    """As a table."""
    table = Table(title=f"{len(codes)} restarts, exit codes {sorted(set(codes))}", title_justify="left")
    for column in ("", "calls", "lost", "reconnects", "asked", "answered", "missing", "gaps", "begun twice", "away s"):
        table.add_column(column, justify="left" if not column else "right")
    for each in found:
        values = (each.calls, each.lost, each.connections, each.asked, each.answered, each.missing, each.gaps)
        table.add_row(each.kind, *map(str, values), str(each.begun_twice), str(each.longest_away_s))
    console.print(table)


def main(
    restarts: Annotated[int, typer.Option(min=1)] = 10,
    calls: Annotated[int, typer.Option(min=3)] = 30,
    json_file: Annotated[Path | None, typer.Option("--json")] = None,
) -> None:
    """Restart gateways under live calls; exit code 1 when something was lost."""
    machine, console = this_machine(), Console(width=120)
    found, codes = asyncio.run(measure(restarts, calls, console))
    show(console, found, codes)
    write_results(json_file, machine, settings={"restarts": restarts, "calls": calls}, outcomes=found, codes=codes)
    if any(each.lost or each.missing or each.gaps or each.begun_twice for each in found) or any(codes):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
