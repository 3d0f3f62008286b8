"""Workers that ask each other over their Unix sockets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp
import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry, Gauge

from gateway.config import GatewayConfig
from gateway.parts import build_parts
from gateway.server import RunningGateway, build_application, serve
from gateway.siblings import Worker
from tests.integration.gateway.conftest import EchoCalls
from voicegate.kernel.clock import SystemClock
from voicegate.kernel.telemetry import NoTelemetry


@asynccontextmanager
async def worker(index: int, directory: Path, tasks: asyncio.TaskGroup) -> AsyncIterator[RunningGateway]:
    """A gateway that knows one session: ``session-of-<index>``."""

    async def known(request: web.Request) -> web.Response:
        if request.match_info["resource"] != f"session-of-{index}":
            return web.Response(status=404, text="unknown")
        body = await request.text()
        headers = {"ETag": '"new"', "X-Match": request.headers.get("If-Match", "")}
        return web.Response(status=200, text=f"{index} got {body}", headers=headers)

    registry = CollectorRegistry()
    Gauge("calls", "Calls", registry=registry).set(10 + index)
    config = GatewayConfig(port=0, worker=Worker(index, 3, directory))  # the third never came up
    parts = build_parts(config, EchoCalls(), clock=SystemClock(), telemetry=NoTelemetry(), checks={})
    routes = [web.patch("/whip/{resource}", known), web.delete("/whip/{resource}", known)]
    async with serve(parts, build_application(parts, registry, routes=routes), tasks) as running:
        yield running


@pytest.fixture
async def ports() -> AsyncIterator[list[int]]:
    directory = await asyncio.to_thread(TemporaryDirectory)  # short enough for a socket's path
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
        place = Path(directory.name)
        yield [(await stack.enter_async_context(worker(index, place, tasks))).port for index in range(2)]
        await stack.aclose()
    await asyncio.to_thread(directory.cleanup)


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
@pytest.mark.parametrize("asked", [0, 1])
async def test_a_resource_is_found_whichever_worker_is_asked(ports: list[int], method: str, asked: int) -> None:
    async with aiohttp.ClientSession() as client:
        for owner in range(2):
            address = f"http://127.0.0.1:{ports[asked]}/whip/session-of-{owner}"
            async with client.request(method, address, data=b"a=candidate", headers={"If-Match": '"old"'}) as answer:
                assert (answer.status, await answer.text()) == (200, f"{owner} got a=candidate")
                assert (answer.headers["ETag"], answer.headers["X-Match"]) == ('"new"', '"old"')


async def test_what_nobody_knows_is_unknown(ports: list[int]) -> None:
    async with aiohttp.ClientSession() as client:
        for body in (b"x", b"x" * 200_000):
            async with client.patch(f"http://127.0.0.1:{ports[0]}/whip/nobodys", data=body) as answer:
                assert (answer.status, await answer.text()) == (404, "unknown")


async def test_one_scrape_has_all_that_answer(ports: list[int]) -> None:
    async with aiohttp.ClientSession() as client:
        for port in ports:
            async with client.get(f"http://127.0.0.1:{port}/metrics") as answer:
                text = await answer.text()
                assert 'calls{worker="0"} 10.0' in text
                assert 'calls{worker="1"} 11.0' in text
                assert 'worker="2"' not in text
