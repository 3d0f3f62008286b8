"""The full profile with nothing of ours between the test and the wire: JSON and bytes over ``websockets``."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import websockets

from voicegate.kernel.audio import Samples

FRAME_S = 0.02


@dataclass
class Wire:
    """One connection. Times are seconds of the event loop's clock."""

    socket: websockets.ClientConnection
    texts: list[dict[str, Any]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    """When each text came."""
    audio: list[tuple[float, bytes]] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _closed: bool = False

    async def send(self, kind: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": kind, **fields}))

    async def say(self, samples: Samples) -> None:
        """16 kHz samples in frames of 20 ms, in real time; afterwards nothing at all is sent."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        for at in range(0, samples.size, 320):
            await self.socket.send(samples[at : at + 320].tobytes())
            due += FRAME_S
            await asyncio.sleep(max(0.0, due - loop.time()))

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Messages of a type, in order."""
        return [text for text in self.texts if text.get("type") == kind]

    async def until(self, holds: Callable[[], bool], within_s: float = 15.0) -> None:
        """Wait until ``holds``, asked after every message; fails with what came instead."""
        try:
            async with asyncio.timeout(within_s):
                while not holds():
                    assert not self._closed, f"closed with {self.socket.close_code} {self.socket.close_reason}"
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"not within {within_s:g} s: {self.texts[-12:]}") from None

    async def first(self, kind: str, within_s: float = 15.0) -> dict[str, Any]:
        """The first message of a type, once it has come."""
        await self.until(lambda: bool(self.of(kind)), within_s)
        return self.of(kind)[0]

    async def closed(self, within_s: float = 10.0) -> int:
        """The code with which the gateway closed."""
        async with asyncio.timeout(within_s):
            await self.socket.wait_closed()
        code = self.socket.close_code
        assert code is not None
        return code

    @property
    def samples(self) -> Samples:
        """All audio, as PCM16."""
        return np.frombuffer(b"".join(data for _, data in self.audio), np.int16)

    async def receive(self) -> None:
        """Take messages until the connection ends."""
        loop = asyncio.get_running_loop()
        try:
            async for message in self.socket:
                if isinstance(message, bytes):
                    self.audio.append((loop.time(), message))
                else:
                    self.texts.append(json.loads(message))
                    self.times.append(loop.time())
                self._news.set()
        except websockets.ConnectionClosed:
            pass
        finally:
            self._closed = True
            self._news.set()


@asynccontextmanager
async def wire(url: str, session_id: str, peer: str = "127.0.0.1", *, full: bool = True) -> AsyncIterator[Wire]:
    """Connected from the address ``peer`` and listening; nothing was sent."""
    protocols = [websockets.Subprotocol("voice.v1")] if full else None
    address = urlsplit(url)
    async with (
        websockets.connect(
            f"{url}/voice/{session_id}",
            subprotocols=protocols,
            host="127.0.0.1",
            port=address.port,
            local_addr=(peer, 0),
        ) as socket,
        asyncio.TaskGroup() as tasks,
    ):
        connection = Wire(socket)
        receiving = tasks.create_task(connection.receive())
        try:
            yield connection
        finally:
            receiving.cancel()
