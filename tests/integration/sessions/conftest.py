"""A process's worth of session state over a real Redis, and the means to hurt that Redis."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from redis.asyncio import Redis

from sessions.config import Config
from sessions.connection import open_client
from sessions.journal import Journal
from sessions.lease import Leases
from sessions.log import SessionLog
from sessions.store import Store
from voicegate.embedded.redis import RedisConfig, embedded_redis
from voicegate.kernel.events import ReplyHeard, TranscriptInterim
from voicegate.kernel.ids import SessionId, TurnId

CONFIG = Config(
    redis_timeout_s=0.3, lease_ttl_s=1.5, retry_first_s=0.01, retry_most_s=0.05, close_timeout_s=10, rewrite_s=60
)


@dataclass
class Gateway:
    """What one process of the gateway holds."""

    client: Redis
    store: Store
    leases: Leases
    journal: Journal
    config: Config
    outages: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def call(self, name: str = "call") -> AsyncIterator[SessionLog]:
        record = await self.store.create(SessionId(name), agent="front desk", transport="websocket")
        async with self.journal.open(record, await self.leases.acquire(record.id)) as log:
            yield log


OpenGateway = Callable[..., Awaitable[Gateway]]


@pytest.fixture
async def open_gateway(redis_url: str) -> AsyncIterator[OpenGateway]:
    """Make gateways: ``await open_gateway("a", config)``."""
    async with AsyncExitStack() as stack:

        async def make(owner: str = "gateway-a", config: Config = CONFIG, url: str = redis_url) -> Gateway:
            client, store_client = open_client(url, config), open_client(url, config)
            stack.push_async_callback(client.aclose)
            stack.push_async_callback(store_client.aclose)
            outages: list[str] = []
            leases = await stack.enter_async_context(Leases(client, config, owner))
            journal = await stack.enter_async_context(
                Journal(
                    client,
                    config,
                    leases,
                    on_away=lambda: outages.append("away"),
                    on_back=lambda: outages.append("back"),
                )
            )
            return Gateway(client, Store(store_client, config), leases, journal, config, outages)

        yield make


@pytest.fixture
async def gateway(open_gateway: OpenGateway) -> Gateway:
    return await open_gateway()


class Server:
    """The redis-server of the test, as something that can hang, die and come back."""

    def __init__(self, config: RedisConfig, stack: AsyncExitStack) -> None:
        self._config = config
        self._stack = stack

    @property
    def pid(self) -> int:
        return int((self._config.directory / "redis.pid").read_text())

    def hang(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)
        self._stack.callback(_kill, self.pid, signal.SIGCONT)

    def go_on(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    async def start_again(self) -> None:
        """A new server over what the old one left on disk."""
        await self._stack.enter_async_context(embedded_redis(self._config))


def _kill(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


@pytest.fixture
async def server(redis_config: RedisConfig, redis_url: str) -> AsyncIterator[Server]:
    async with AsyncExitStack() as stack:
        yield Server(redis_config, stack)


@dataclass
class FlakyUrl:
    """A way to Redis that can break under the next request, as a proxy or a firewall does."""

    url: str
    break_next: bool = False


@pytest.fixture
async def flaky_url(redis_config: RedisConfig, redis_url: str) -> AsyncIterator[FlakyUrl]:
    flaky = FlakyUrl(f"unix://{redis_config.directory}/flaky.sock")

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, breaking: bool) -> None:
        while data := await reader.read(65536):
            if breaking and flaky.break_next:
                flaky.break_next = False
                return
            writer.write(data)
            await writer.drain()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        redis_reader, redis_writer = await asyncio.open_unix_connection(redis_config.directory / "redis.sock")
        tasks = [
            asyncio.ensure_future(pump(reader, redis_writer, breaking=True)),
            asyncio.ensure_future(pump(redis_reader, writer, breaking=False)),
        ]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        redis_writer.close()
        writer.close()

    server = await asyncio.start_unix_server(relay, redis_config.directory / "flaky.sock")
    async with server:
        yield flaky


Until = Callable[[Callable[[], bool]], Awaitable[None]]


@pytest.fixture
def until() -> Until:
    async def wait(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(15):
            while not condition():
                await asyncio.sleep(0.005)

    return wait


Emit = Callable[[SessionLog, int, int], None]


@pytest.fixture
def emit() -> Emit:
    """Emit the events ``first`` to ``last`` (inclusive) of a session."""

    def send(log: SessionLog, first: int, last: int) -> None:
        for seq in range(first, last + 1):
            at = datetime.now(UTC)
            if seq % 2:
                log.emit(TranscriptInterim(session_id=log.record.id, seq=seq, at=at, text=f"word {seq}"))
            else:
                log.emit(
                    ReplyHeard(
                        session_id=log.record.id, seq=seq, at=at, turn=TurnId(seq // 20 + 1), text=f"heard {seq}"
                    )
                )

    return send
