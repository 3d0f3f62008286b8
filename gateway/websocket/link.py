"""A WebSocket as the drivers want it: typed messages in, synchronous sends, and the truth about what left.

Sends do not wait: the drivers bound what is unsent themselves (:mod:`gateway.backlog`). Compression is never agreed on:
it would cost CPU on audio that does not shrink.

A message that comes is offered to the driver at once (:meth:`Link.offer_to`), as one plain call from the read itself:
that is how audio takes its way. What needs waiting for, and everything behind it, is queued for :meth:`Link.receive`.
"""

import asyncio
import contextlib
import socket
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, cast

from aiohttp._websocket.helpers import websocket_mask
from aiohttp._websocket.reader import WebSocketReader
from aiohttp.web_protocol import RequestHandler

from gateway.backlog import Backlog
from gateway.close_codes import CloseCode
from gateway.unsent import kernel_bytes
from gateway.websocket import rfc6455
from gateway.websocket.upgrade import Upgrade

_CLOSE_GRACE_S: Final = 2.0
"""How long a peer may take to answer our close frame."""
_MAX_REASON_BYTES: Final = 123
"""RFC 6455 section 5.5.1: a control frame has 125 bytes, two of them the code."""
_AT_ONCE: Final = 50
"""Messages of one read that are taken at once; then the other calls get their turn."""
_MOST_QUEUED: Final = 64
_MOST_QUEUED_BYTES: Final = 256 * 1024
"""Messages, and their bytes, that may wait for :meth:`Link.receive`; above it nothing more is read."""
_FED: Final = (False, b"")
"""What aiohttp wants to hear of a parser: it goes on, and nothing is left."""
_BEATS: Final = 4
"""A heartbeat is looked at in quarters."""


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

Take: TypeAlias = Callable[[str | bytes], bool]


def open_socket(*, protocols: tuple[str, ...], max_message_bytes: int, heartbeat_s: float) -> Upgrade:
    """The response to an upgrade. A peer that vanished is noticed after 1.5 to 1.75 ``heartbeat_s``."""
    return Upgrade(protocols=protocols, max_message_bytes=max_message_bytes, heartbeat_s=heartbeat_s)


class Link:
    """One prepared socket. Sends on a dead link are dropped; the receiver learns of the loss."""

    def __init__(self, response: Upgrade, transport: asyncio.Transport, now: Callable[[], float]) -> None:
        assert response.connection is not None, "prepared before it is linked"
        self._transport = transport
        self._now = now
        self._loop = asyncio.get_running_loop()
        self._socket: socket.socket | None = transport.get_extra_info("socket")
        self._backlog = Backlog()
        self._reader = rfc6455.MessageReader(response.max_message_bytes, websocket_mask)
        self._take: Take | None = None
        self._queue: deque[Received] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._queued_bytes = 0
        self._paused = False
        self._over = False
        self._close_sent = False
        self._quiet = 0
        self._beat_s = response.heartbeat_s / _BEATS
        self._beat = self._loop.call_later(self._beat_s, self._on_beat)
        # What it needs of a parser is feed_data and feed_eof; bytes that came before are fed at once.
        response.connection.set_parser(cast(WebSocketReader, self))
        transport.set_protocol(cast(asyncio.BaseProtocol, _Straight.past(response.connection, self)))
        if transport.is_closing():
            self.feed_eof()

    # --- in ---

    def offer_to(self, take: Take) -> None:
        """Offer every message to ``take`` as it comes, text as str and binary as bytes. It returns whether it took it,
        and must not raise; what it leaves, and everything that comes before that was received, is for
        :meth:`receive`."""
        self._take = take

    async def receive(self) -> Received:
        """The next message; after :class:`Goodbye` or :class:`Lost` nothing follows."""
        while not self._queue:
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        received = self._queue.popleft()
        self._queued_bytes -= _size(received)
        if self._paused and len(self._queue) <= _MOST_QUEUED // 2 and self._queued_bytes <= _MOST_QUEUED_BYTES // 2:
            self._read_on()
        return received

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """aiohttp read ``data`` from the socket."""
        self._quiet = 0
        # Only while the receiver waits, and for nothing that is here, was everything before dealt with.
        if self._take is not None and self._waiter is not None and not self._queue:
            lone = self._reader.lone(data)
            if lone is not None:
                if not self._take(lone):
                    self._queued(lone)
                return _FED
        at_once = _AT_ONCE
        for incoming in self._reader.feed(data):
            if incoming.__class__ is bytes or incoming.__class__ is str:
                nothing_before = self._waiter is not None and not self._queue
                if at_once and nothing_before and self._take is not None and self._take(incoming):
                    at_once -= 1
                else:
                    at_once = 0
                    self._queued(incoming)
            else:
                self._control(incoming)
        return _FED

    def feed_eof(self) -> None:
        """aiohttp lost the connection."""
        self._end(Lost("the connection broke"))

    def _queued(self, incoming: Any) -> None:
        received = TextMessage(incoming) if isinstance(incoming, str) else BinaryMessage(incoming)
        self._queue.append(received)
        self._queued_bytes += _size(received)
        self._wake()
        full = len(self._queue) > _MOST_QUEUED or self._queued_bytes > _MOST_QUEUED_BYTES
        if full and not self._paused and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def _read_on(self) -> None:
        self._paused = False
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def _control(self, incoming: Any) -> None:
        match incoming:
            case rfc6455.Ping(data=data):
                self._write(rfc6455.pong_frame(data), 0.0)
            case rfc6455.Closing(code=code):
                self._end(Goodbye(code))
                self._part(rfc6455.close_frame(code))
            case rfc6455.Violation(code=code, reason=reason):
                self._end(Lost(reason))
                self._part(rfc6455.close_frame(code, reason.encode()))
            case _:
                pass  # a pong: that something came is enough

    def _end(self, last: Goodbye | Lost) -> None:
        if self._over:
            return
        self._over = True
        self._beat.cancel()
        self._queue.append(last)
        self._take = None
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _on_beat(self) -> None:
        self._quiet = 0 if self._paused else self._quiet + 1
        if self._quiet >= _BEATS + _BEATS // 2:
            self._end(Lost("the peer answered no ping"))
            self._transport.abort()
            return
        if self._quiet == _BEATS:
            self._write(rfc6455.ping_frame(), 0.0)
        self._beat = self._loop.call_later(self._beat_s, self._on_beat)

    # --- out ---

    def send_text(self, data: bytes) -> None:
        """Send UTF-8 text at once."""
        self._write(rfc6455.text_frame(data), 0.0)

    def send_texts(self, texts: Sequence[bytes]) -> None:
        """Send several messages of UTF-8 text at once."""
        self._write(b"".join(map(rfc6455.text_frame, texts)), 0.0)

    def send_audio(self, data: bytes, audio_ms: float) -> None:
        """Send a binary message of ``audio_ms`` at once."""
        self._write(rfc6455.binary_frame(data), audio_ms)

    def _write(self, frame: bytes, audio_ms: float) -> None:
        if not self._close_sent and not self._transport.is_closing():
            self._transport.write(frame)
            self._backlog.wrote(len(frame), audio_ms)

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

    # --- the end ---

    async def close(self, code: CloseCode, reason: str) -> None:
        """Close; a peer that does not answer is cut off after some seconds. Closing a closed link does nothing."""
        cut = reason.encode()[:_MAX_REASON_BYTES].decode(errors="ignore").encode()
        if not self._over:
            self._say_close(rfc6455.close_frame(int(code), cut))
            if self._paused:  # its answer is behind what nobody reads any more
                self._read_on()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_GRACE_S):
                    await self._answered()
        self._end(Lost("closed"))
        if self._transport.get_write_buffer_size():
            self._transport.abort()  # it reads nothing: waiting for the buffer to empty would never end
        else:
            self._transport.close()

    async def _answered(self) -> None:
        """Until the peer's close frame, or the end of the connection; what comes before is nobody's any more."""
        self._take = _drop
        while not isinstance(await self.receive(), Goodbye | Lost):
            pass

    def _say_close(self, frame: bytes) -> None:
        self._write(frame, 0.0)
        self._close_sent = True

    def _part(self, frame: bytes) -> None:
        """Answer and go; a peer that reads nothing does not keep the socket."""
        self._say_close(frame)
        self._transport.close()
        self._loop.call_later(_CLOSE_GRACE_S, self._transport.abort)


@dataclass(frozen=True, slots=True)
class _Straight:
    """What a transport tells its protocol (:class:`asyncio.Protocol`): bytes go straight to the link, and all else to
    aiohttp's side of the connection."""

    data_received: Callable[[bytes], object]
    eof_received: Callable[[], bool | None]
    connection_lost: Callable[[BaseException | None], None]
    pause_writing: Callable[[], None]
    resume_writing: Callable[[], None]

    @classmethod
    def past(cls, aside: RequestHandler, link: Link) -> "_Straight":
        return cls(link.feed_data, aside.eof_received, aside.connection_lost, aside.pause_writing, aside.resume_writing)


def _size(received: Received) -> int:
    match received:
        case TextMessage(text=text):
            return len(text)
        case BinaryMessage(data=data):
            return len(data)
        case _:
            return 0


def _drop(_message: str | bytes) -> bool:
    return True
