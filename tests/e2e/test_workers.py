"""Two processes behind one port: calls are spread, one that dies harms nobody else, one scrape has them all."""

import asyncio
import signal
import urllib.request

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.conftest import Start
from tests.e2e.served import Served
from tests.e2e.wire import Wire, wire
from voicegate.kernel.ids import new_session_id

CALLS = 6
QUESTION = "What time is it?"


@pytest.fixture
def together(start: Start) -> Served:
    return start("--workers", "2")


def scraped(served: Served, name: str) -> dict[str, float]:
    """The samples of a metric by worker."""
    with urllib.request.urlopen(f"{served.http}/metrics", timeout=5) as answer:
        families = text_string_to_metric_families(answer.read().decode())
    return {each.labels["worker"]: each.value for family in families for each in family.samples if each.name == name}


def workers_of(served: Served) -> dict[str, psutil.Process]:
    """The processes by their index."""
    found = {}
    for process in psutil.Process(served.pid).children():
        line = process.cmdline()
        if "--worker" in line:
            found[line[line.index("--worker") + 1].split("/")[0]] = process
    return found


async def begun(client: Wire) -> str:
    await client.send("session.start", greeting=False)
    return str((await client.first("session.welcome"))["resumeSecret"])


async def answered(client: Wire) -> str:
    before = len(client.of("reply.finished"))
    await client.send("text", text=QUESTION)
    await client.until(lambda: len(client.of("reply.finished")) > before, 30)
    return str(client.of("reply.finished")[-1]["text"])


async def eventually(served: Served, name: str, wanted: set[str], within_s: float = 60.0) -> dict[str, float]:
    async with asyncio.timeout(within_s):
        while True:
            found = await asyncio.to_thread(scraped, served, name)
            if set(found) == wanted:
                return found
            await asyncio.sleep(0.2)


@pytest.mark.slow
async def test_a_worker_that_dies_is_replaced_and_its_calls_go_on_elsewhere(together: Served) -> None:
    async with asyncio.timeout(100):
        await eventually(together, "voicegate_gateway_connections", {"0", "1"})
        ids = [new_session_id() for _ in range(CALLS)]
        clients = [wire(together.url, each) for each in ids]
        sockets = [await client.__aenter__() for client in clients]
        secrets = [await begun(socket) for socket in sockets]
        for _ in range(20):  # the kernel spreads by address: six calls on one of two workers are possible
            spread = await asyncio.to_thread(scraped, together, "voicegate_gateway_connections")
            if min(spread.values()) > 0:
                break
            extra = wire(together.url, new_session_id())
            clients.append(extra)
            await begun(await extra.__aenter__())
        assert min(spread.values()) > 0, spread
        victim = workers_of(together)["1"]
        victim.kill()
        await asyncio.sleep(0.5)
        lost = [number for number, socket in enumerate(sockets) if socket.socket.close_code is not None]
        for number, socket in enumerate(sockets):
            if number not in lost:
                assert (await answered(socket)).startswith("It's")
        for number in lost:
            async with wire(together.url, ids[number]) as again:
                await again.send("session.resume", lastSeq=0, secret=secrets[number])
                assert (await again.first("session.welcome"))["resumed"] is True
                assert (await answered(again)).startswith("It's")
        await eventually(together, "voicegate_gateway_connections", {"0", "1"})
        assert workers_of(together)["1"].pid != victim.pid
        for client in clients:
            await client.__aexit__(None, None, None)
        assert await asyncio.to_thread(together.stop, signal.SIGINT) == 0
        assert "a worker died and is started again" in together.log
