"""The two kinds of line between a carrier and a gateway: WebSocket and TCP."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Protocol

import aiohttp

from voicegate.client.carriers.leg import Message

_READ_BYTES = 4_096


class Line(Protocol):
    """An open connection."""

    async def send(self, message: Message) -> None:
        """Send a message; nothing happens once the line is gone."""
        ...

    def messages(self) -> AsyncIterator[Message]:
        """What the gateway sends, until the line is gone."""
        ...

    @property
    def ended(self) -> str:
        """In words, how it ended."""
        ...

    async def close(self) -> None:
        """Close it in order."""
        ...

    def cut(self) -> None:
        """Lose it without a word, as a network does."""
        ...


class WebSocketLine:
    """A WebSocket as its client has it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket

    async def send(self, message: Message) -> None:
        with contextlib.suppress(ConnectionError):  # whoever reads is told
            if isinstance(message, str):
                await self._socket.send_str(message)
            else:
                await self._socket.send_bytes(message)

    async def messages(self) -> AsyncIterator[Message]:
        async for message in self._socket:
            if message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                yield message.data

    @property
    def ended(self) -> str:
        return f"the gateway closed the stream with code {self._socket.close_code}"

    async def close(self) -> None:
        await self._socket.close()

    def cut(self) -> None:
        connection = self._socket._conn  # there is no public way to lose a connection
        if connection is not None and connection.transport is not None:
            connection.transport.abort()


class TcpLine:
    """A TCP connection as its client has it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def send(self, message: Message) -> None:
        with contextlib.suppress(ConnectionError):
            self._writer.write(message.encode() if isinstance(message, str) else message)
            await self._writer.drain()

    async def messages(self) -> AsyncIterator[Message]:
        with contextlib.suppress(ConnectionError):
            while data := await self._reader.read(_READ_BYTES):
                yield data

    @property
    def ended(self) -> str:
        return "the gateway closed the connection"

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()

    def cut(self) -> None:
        self._writer.transport.abort()
