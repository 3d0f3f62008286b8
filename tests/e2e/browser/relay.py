"""A TCP relay before the gateway whose lines can be cut, as a network does it: without a word."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Relay:
    target: int
    """The gateway's port."""
    port: int = 0
    up: bool = True
    """While False, new connections are refused."""
    lossy: bool = False
    """While True, nothing of what the gateway sends arrives."""
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    def cut(self) -> None:
        """Reset every connection."""
        for writer in self._writers:
            connection = writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.up:
            return writer.transport.abort()
        there, back = await asyncio.open_connection("127.0.0.1", self.target)
        self._writers |= {writer, back}
        with suppress(ConnectionError):
            await asyncio.gather(self._copy(reader, back), self._copy(there, writer, from_gateway=True))
        self._writers -= {writer, back}
        return None

    async def _copy(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, from_gateway: bool = False
    ) -> None:
        try:
            while data := await reader.read(65_536):
                if self.lossy and from_gateway:
                    continue
                writer.write(data)
                await writer.drain()
        finally:
            writer.close()


@asynccontextmanager
async def relay(target: int) -> AsyncIterator[Relay]:
    """Listening on a free port, until left."""
    made = Relay(target)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        made.cut()
        server.close()
