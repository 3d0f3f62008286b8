"""A plain load balancer: bytes in, bytes out, to the first backend that takes the connection."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class Balancer:
    """Connections go round robin; a backend that refuses is passed over."""

    backends: Sequence[int]
    """Their ports on 127.0.0.1."""
    port: int = 0
    _next: int = 0
    _open: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in self.backends:
            port = self.backends[self._next % len(self.backends)]
            self._next += 1
            with contextlib.suppress(OSError):
                inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
                break
        else:
            writer.close()
            return
        ways = [_copy(reader, inner_writer), _copy(inner_reader, writer)]
        await asyncio.gather(*ways)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()


@asynccontextmanager
async def balancing(*backends: int) -> AsyncIterator[Balancer]:
    """A balancer before these ports."""
    balancer = Balancer(backends)
    server = await asyncio.start_server(balancer._serve, "127.0.0.1", 0)
    balancer.port = server.sockets[0].getsockname()[1]
    try:
        yield balancer
    finally:
        server.close()
