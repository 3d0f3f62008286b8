"""A TCP connection as a line (:class:`gateway.phone.wire.Wire`): bytes cut anywhere, sends that do not wait."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Sequence
from typing import Final

from gateway.backlog import Backlog
from gateway.close_codes import CloseCode
from gateway.unsent import kernel_bytes
from gateway.websocket.link import BinaryMessage, Goodbye, Lost, Received, Take

MAX_PIECE_BYTES: Final = 16 * 1024
"""Most bytes of one read: a second of linear PCM at 8 kHz."""
_CLOSE_GRACE_S: Final = 2.0
_DEAD_PEER_MS: Final = 10_000
"""A peer that acknowledges nothing for so long is gone (TCP_USER_TIMEOUT, RFC 5482)."""


class TcpLine:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, now: Callable[[], float]) -> None:
        self._reader = reader
        self._writer = writer
        self._now = now
        self._socket: socket.socket | None = writer.get_extra_info("socket")
        self._backlog = Backlog()
        if self._socket is not None:
            with contextlib.suppress(OSError, AttributeError):  # not every system has it
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _DEAD_PEER_MS)

    def offer_to(self, take: Take) -> None:
        """Nothing is offered: a read is awaited here."""

    async def receive(self) -> Received:
        """Some bytes; after :class:`Goodbye` or :class:`Lost` nothing follows."""
        try:
            data = await self._reader.read(MAX_PIECE_BYTES)
        except OSError as error:
            return Lost(error.strerror or type(error).__name__)
        return BinaryMessage(data) if data else Goodbye(int(CloseCode.NORMAL))

    def send_texts(self, texts: Sequence[bytes]) -> None:
        """There is no text on such a line."""
        raise AssertionError("a TCP line has no text messages")

    def send_audio(self, data: bytes, audio_ms: float) -> None:
        """Send bytes at once; on a dead line they are dropped."""
        if not self._writer.is_closing():
            self._writer.write(data)
            self._backlog.wrote(len(data), audio_ms)

    @property
    def idle(self) -> bool:
        return self._backlog.empty

    def unsent_bytes(self) -> int:
        if self._writer.is_closing():
            return 0
        return self._writer.transport.get_write_buffer_size() + kernel_bytes(self._socket)

    def unsent_audio_ms(self) -> float:
        return 0.0 if self._backlog.empty else self._backlog.measure(self.unsent_bytes(), self._now())

    def stuck_s(self) -> float:
        return self._backlog.stuck_s(self._now())

    async def close(self, code: CloseCode, reason: str) -> None:
        """Close; a peer that does not take what is left is cut off. TCP carries neither code nor reason."""
        self._writer.close()
        try:
            async with asyncio.timeout(_CLOSE_GRACE_S):
                await self._writer.wait_closed()
        except (TimeoutError, OSError):
            self._writer.transport.abort()
