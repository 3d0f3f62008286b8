"""An aiohttp WebSocket as the drivers want it: typed messages in, synchronous sends, and the truth about what left.

Sends do not wait. aiohttp's ``send_frame`` is a coroutine that only suspends once ``writer_limit`` bytes were written
to a paused transport; :func:`open_socket` lifts that limit, so a send runs to its end at once, and the drivers bound
what is unsent themselves (:mod:`gateway.backlog`). Compression stays off: it would cost CPU on audio that does not
shrink.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import aiohttp
from aiohttp import web

from gateway.backlog import Backlog
from gateway.close_codes import CloseCode
from gateway.unsent import kernel_bytes

_NEVER_SUSPEND: Final = 1 << 62
_CLOSE_GRACE_S: Final = 2.0
"""How long a peer may take to answer our close frame."""
_MAX_REASON_BYTES: Final = 123
"""RFC 6455 section 5.5.1: a control frame has 125 bytes, two of them the code."""


@dataclass(frozen=True, slots=True)
class TextMessage:
    text: str


@dataclass(frozen=True, slots=True)
class BinaryMessage:
    data: bytes


@dataclass(frozen=True, slots=True)
class Goodbye:
    """The client closed the connection in order."""

    code: int
    """1005 where it gave none."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection broke, or its peer vanished, or what it sent was no WebSocket."""

    reason: str


Received: TypeAlias = TextMessage | BinaryMessage | Goodbye | Lost


def open_socket(*, protocols: tuple[str, ...], max_message_bytes: int, heartbeat_s: float) -> web.WebSocketResponse:
    """The response to an upgrade. A peer that vanished is noticed after 1.5 to 1.7 ``heartbeat_s``."""
    return web.WebSocketResponse(
        protocols=protocols,
        max_msg_size=max_message_bytes + 1,  # aiohttp refuses a message of exactly the limit
        heartbeat=heartbeat_s,
        timeout=_CLOSE_GRACE_S,
        compress=False,
        writer_limit=_NEVER_SUSPEND,
    )


class Link:
    """One prepared socket. Sends on a dead link are dropped; the receiver learns of the loss."""

    def __init__(self, response: web.WebSocketResponse, transport: asyncio.Transport, now: Callable[[], float]) -> None:
        self._response = response
        self._transport = transport
        self._now = now
        self._socket: socket.socket | None = transport.get_extra_info("socket")
        self._backlog = Backlog()

    async def receive(self) -> Received:
        """The next message; after :class:`Goodbye` or :class:`Lost` nothing follows."""
        message = await self._response.receive()
        match message.type:
            case aiohttp.WSMsgType.TEXT:
                return TextMessage(message.data)
            case aiohttp.WSMsgType.BINARY:
                return BinaryMessage(message.data)
            case aiohttp.WSMsgType.CLOSE:
                return Goodbye(message.data or 1005)
            case aiohttp.WSMsgType.ERROR:
                return Lost(str(message.data) or type(message.data).__name__)
            case _:
                return Lost("the connection broke")

    def send_text(self, data: bytes) -> None:
        """Send UTF-8 text at once."""
        self._send(data, aiohttp.WSMsgType.TEXT, 0.0)

    def send_audio(self, data: bytes, audio_ms: float) -> None:
        """Send a binary message of ``audio_ms`` at once."""
        self._send(data, aiohttp.WSMsgType.BINARY, audio_ms)

    @property
    def idle(self) -> bool:
        """Nothing was waiting at the last measurement and nothing was written since."""
        return self._backlog.empty

    def unsent_bytes(self) -> int:
        """Bytes that were written and have not left this machine: in our buffer and in the kernel's."""
        if self._transport.is_closing():
            return 0
        return self._transport.get_write_buffer_size() + kernel_bytes(self._socket)

    def unsent_audio_ms(self) -> float:
        """Audio among the unsent bytes. Also notes whether the client takes anything (see :meth:`stuck_s`)."""
        return 0.0 if self._backlog.empty else self._backlog.measure(self.unsent_bytes(), self._now())

    def stuck_s(self) -> float:
        """Seconds without progress, as of the last :meth:`unsent_audio_ms`."""
        return self._backlog.stuck_s(self._now())

    async def close(self, code: CloseCode, reason: str) -> None:
        """Close; a peer that does not answer is cut off after some seconds. Closing a closed link does nothing."""
        cut = reason.encode()[:_MAX_REASON_BYTES].decode(errors="ignore").encode()
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(_CLOSE_GRACE_S + 1.0):
                await self._response.close(code=code, message=cut, drain=False)
        if self._transport.get_write_buffer_size():
            self._transport.abort()  # it reads nothing: waiting for the buffer to empty would never end

    def _send(self, data: bytes, kind: aiohttp.WSMsgType, audio_ms: float) -> None:
        sending = self._response.send_frame(data, kind)
        try:
            sending.send(None)
        except StopIteration:
            header = 2 if len(data) < 126 else 4 if len(data) < 65_536 else 10
            self._backlog.wrote(len(data) + header, audio_ms)
            return
        except ConnectionError:
            return
        sending.close()
        raise RuntimeError("aiohttp suspended in a send that must not wait")
