"""Rolling restarts under live calls: nothing that was acknowledged is lost.

``python -m benchmarks.rolling [--restarts 10] [--calls 30] [--json FILE]``

Two gateways with the embedded engines share one Redis behind a plain TCP balancer. A third of the calls come over the
WebSocket, a third over WebRTC, a third from a simulated Twilio. Each caller asks something, by text or by telephone
keys, waits for the end of the answer, and asks again some seconds later. One gateway after the other is told to end
(SIGTERM) and started again; the callers do what their kind does when a connection ends: resume, or ask the carrier's
``action``. Columns:

``lost``
    Calls whose conversation ended before their callers hung up.
``reconnects``
    Connections beyond the first of each call.
``asked``, ``unheard``, ``answered``, ``silent``
    Questions that went into an open connection; of them, those that no turn was committed for (they were under way when
    the gateway had decided to close, and nothing had acknowledged them), those whose answer was heard to its end, and
    those after which nothing was heard for 10 s on the same connection.
``missing``
    Events that a client had been sent (so they were acknowledged to it) and Redis does not have, and turns whose
    words are not in the stored transcript.
``gaps``
    Sequence numbers that a client never got, or got twice.
``begun twice``
    Calls that Redis has more than one beginning of.
``away s``
    The longest time from the end of one connection to the next that is open.
"""

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import aiohttp
import typer
from redis.asyncio import Redis
from rich.console import Console
from rich.table import Table

from benchmarks.gateway_process import free_port
from benchmarks.machine import ROOT, this_machine
from benchmarks.results import write_results
from benchmarks.rolling_callers import TWILIO_TOKEN, Caller, Kind, phone, talk, watch_lateness
from benchmarks.rolling_record import by_number, judge
from voicegate.kernel.ids import new_session_id

KINDS: tuple[Kind, ...] = ("ws", "webrtc", "twilio")
_READY_S = 180.0
_WARM_S = 8.0
"""Before the first restart."""
_LATE_S = 0.5
"""Above it the callers' process is the bottleneck."""
_REST_S = 2.0
"""From the end of one restart to the next."""


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
            while not await _ready(http, self.port):
                if self.process.returncode is not None:
                    raise RuntimeError(f"the gateway did not start:\n{self.log.read_text()[-2_000:]}")
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
                if not await _ready(http, gateway.port):
                    continue
                with contextlib.suppress(OSError):  # it has ended since
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
    unheard: int = 0
    """Questions that no turn was committed for."""
    silent: int = 0
    """Questions after which the caller heard no answer for long."""

    @property
    def well(self) -> bool:
        lost = self.lost or self.missing or self.gaps or self.begun_twice or self.silent
        return not lost and self.answered + self.unheard == self.asked


async def roll(gateways: list[Gateway], restarts: int, progress: Console) -> list[int]:
    """One gateway after the other ends and starts again; their exit codes."""
    codes = []
    for number in range(restarts):
        gateway = gateways[number % len(gateways)]
        codes.append(await gateway.stop())
        await gateway.start()
        progress.print(f"restart {number + 1} of {restarts}: exit code {codes[-1]}")
        await asyncio.sleep(_REST_S)
    return codes


async def measure(restarts: int, calls: int, progress: Console) -> tuple[list[Outcome], list[int], float]:
    """The whole run: what became of each kind, the exit codes, and how late the callers' own process was at worst."""
    port, worst_s = free_port(), [0.0]
    url = f"ws://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory(prefix="voicegate-rolling-") as folder:
        environment = {
            "VOICEGATE_DATA_DIR": str(Path(folder, "data")), "VOICEGATE_DRAIN_S": "1", "VOICEGATE_LATE_MS": "0",
            "VOICEGATE_PUBLIC_URL": f"http://127.0.0.1:{port}", "VOICEGATE_TWILIO_AUTH_TOKEN": TWILIO_TOKEN,
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
                watching = tasks.create_task(watch_lateness(worst_s))
                for caller in callers:
                    tasks.create_task(
                        phone(caller, url, over, caller.session_id)
                        if caller.kind == "twilio"
                        else talk(caller, url, over)
                    )
                await asyncio.sleep(_WARM_S)
                codes = await roll(gateways, restarts, progress)
                over.set()
                watching.cancel()
            socket = Path(folder, "data", "redis", "socket").read_text()  # noqa: ASYNC240 - everybody has hung up
            async with Redis(unix_socket_path=socket) as redis:
                return await outcomes(callers, redis), codes, round(worst_s[-1], 2)


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
        asked = sum(caller.asked for caller in own)
        found.append(
            Outcome(
                kind,
                len(own),
                lost=sum(bool(caller.ended) and caller.ended != "client" for caller in own),
                connections=sum(caller.connections - 1 for caller in own),
                asked=asked,
                answered=sum(each.answered for each in judged),
                missing=sum(each.missing for each in judged),
                gaps=sum(each.gaps for each in judged),
                begun_twice=sum(each.begun > 1 for each in judged),
                longest_away_s=round(max(caller.longest_away_s for caller in own), 2),
                unheard=asked - sum(each.taken for each in judged),
                silent=sum(caller.silent for caller in own),
            )
        )
    return found


def show(console: Console, found: list[Outcome], codes: list[int]) -> None:
    """As a table."""
    table = Table(title=f"{len(codes)} restarts, exit codes {sorted(set(codes))}", title_justify="left")
    named = {"calls": "calls", "lost": "lost", "connections": "reconnects", "asked": "asked", "unheard": "unheard"}
    named |= {"answered": "answered", "silent": "silent", "missing": "missing", "gaps": "gaps"}
    named |= {"begun_twice": "begun twice", "longest_away_s": "away s"}
    for column in ("", *named.values()):
        table.add_column(column, justify="right" if column else "left")
    for each in found:
        table.add_row(each.kind, *(str(getattr(each, name)) for name in named))
    console.print(table)


def main(
    restarts: Annotated[int, typer.Option(min=1)] = 10,
    calls: Annotated[int, typer.Option(min=3)] = 30,
    json_file: Annotated[Path | None, typer.Option("--json")] = None,
) -> None:
    """Restart gateways under live calls; exit code 1 when something was lost."""
    machine, console = this_machine(), Console(width=120)
    found, codes, late_s = asyncio.run(measure(restarts, calls, console))
    show(console, found, codes)
    if late_s > _LATE_S:
        console.print(f"The callers' own process was late by up to {late_s:g} s: silence and absence may be theirs.")
    settings = {"restarts": restarts, "calls": calls}
    write_results(json_file, machine, settings=settings, outcomes=found, codes=codes, callers_late_s=late_s)
    if not all(each.well for each in found) or any(codes):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
