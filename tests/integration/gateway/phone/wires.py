"""A carrier's bare wire: what is sent and what comes back, message by message."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp


@dataclass(slots=True)
class Bare:
    """An open WebSocket."""

    socket: aiohttp.ClientWebSocketResponse

    async def send(self, *messages: str | bytes) -> None:
        for message in messages:
            if isinstance(message, str):
                await self.socket.send_str(message)
            else:
                await self.socket.send_bytes(message)

    async def texts_until_closed(self) -> list[Any]:
        """All texts (JSON as objects) until the gateway closes."""
        async with asyncio.timeout(10):
            return [_read(message.data) async for message in self.socket if message.type is aiohttp.WSMsgType.TEXT]

    async def closed(self) -> int | None:
        """The code of the close."""
        await self.texts_until_closed()
        return self.socket.close_code

    async def next_text(self) -> Any:
        async with asyncio.timeout(10):
            while (message := await self.socket.receive()).type is aiohttp.WSMsgType.BINARY:
                pass
        assert message.type is aiohttp.WSMsgType.TEXT, message
        return _read(message.data)

    async def next_audio(self) -> bytes:
        async with asyncio.timeout(10):
            while (message := await self.socket.receive()).type is aiohttp.WSMsgType.TEXT:
                pass
        assert message.type is aiohttp.WSMsgType.BINARY, message
        assert isinstance(message.data, bytes)
        return message.data


def _read(text: str) -> Any:
    return json.loads(text) if text.startswith("{") else text


@asynccontextmanager
async def bare(
    url: str, headers: Mapping[str, str] = {}, protocols: Sequence[str] = (), **options: Any
) -> AsyncIterator[Bare]:
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(url, headers=dict(headers), protocols=protocols, **options) as socket,
    ):
        yield Bare(socket)


async def refused(url: str, headers: Mapping[str, str] = {}) -> tuple[int, str]:
    """Status and code of an upgrade that is refused."""
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    async with (
        aiohttp.ClientSession() as http,
        http.get(url.replace("ws", "http", 1), headers={**upgrade, **headers}) as response,
    ):
        assert response.status != 101, "the gateway took the connection"
        return response.status, (await response.json(content_type=None))["code"]
