"""The WebSocket protocol of a server (RFC 6455), without I/O: bytes in, messages out, and the frames to send.

Every message of a call is 160 bytes and comes 50 times a second, so this is written for few calls a message: one pass
over what a read gave, no object for what is text or binary. No extension is ever agreed on, so reserved bits are wrong.
"""

import base64
import binascii
import hashlib
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

_KEY_SUFFIX: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""Section 1.3."""
_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0, 1, 2, 8, 9, 10
_FIN, _OPCODE, _RESERVED, _MASKED = 0x80, 0x0F, 0x70, 0x80
MAX_CONTROL_BYTES: Final = 125
_LONE_HEADS: Final = (bytes((_FIN | _BINARY, _MASKED | 126)), bytes((_FIN | _TEXT, _MASKED | 126)))
"""How a whole message begins that is as long as a packet of audio is, alone or in JSON."""
_LONE_BODY: Final = 8
"""Where the payload of such a frame begins: behind a length of two bytes and the mask."""
NO_CODE: Final = 1005
"""What a close frame without a code counts as (section 7.1.5); never sent."""
_PROTOCOL_ERROR, _BAD_PAYLOAD, _TOO_BIG = 1002, 1007, 1009


@dataclass(frozen=True, slots=True)
class Ping:
    data: bytes


@dataclass(frozen=True, slots=True)
class Pong:
    data: bytes


@dataclass(frozen=True, slots=True)
class Closing:
    """The peer's close frame; nothing follows."""

    code: int
    """1005 where it gave none."""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Violation:
    """What came is no WebSocket, or too big; nothing follows."""

    code: int
    """What to close with."""
    reason: str


Incoming: TypeAlias = str | bytes | Ping | Pong | Closing | Violation
"""A text message, a binary one, or something about the connection."""


Unmask: TypeAlias = Callable[[bytes, bytearray], None]
"""Takes a mask of four bytes off a payload, in place (section 5.3)."""


def unmask(mask: bytes, payload: bytearray) -> None:
    """The plain way, for want of a fast one."""
    size = len(payload)
    key = int.from_bytes((mask * (size // 4 + 1))[:size])
    payload[:] = (int.from_bytes(payload) ^ key).to_bytes(size)


class _Wrong(Exception):
    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.violation = Violation(code, reason)


class MessageReader:
    """One connection's incoming bytes, cut anywhere, to messages."""

    def __init__(self, max_message_bytes: int, unmask: Unmask = unmask) -> None:
        self._most = max_message_bytes
        self._unmask = unmask
        self._parts: list[bytes] = []
        """The begin of a frame whose end has not come."""
        self._here = 0
        self._needed = 0
        self._message: list[bytes] = []
        """Fragments of a message."""
        self._message_bytes = 0
        self._kind = 0
        self._over = False

    def lone(self, data: bytes) -> str | bytes | None:
        """The message that ``data`` is, where it is a whole one of the length that packets of audio have, and nothing
        came before it: as most reads give. None, and nothing was taken: it is for :meth:`feed`."""
        if data[:2] not in _LONE_HEADS or self._parts or self._kind or self._over or len(data) < _LONE_BODY:
            return None
        size = data[2] << 8 | data[3]
        if len(data) != _LONE_BODY + size or size > self._most:
            return None
        payload = bytearray(data[_LONE_BODY:])
        self._unmask(data[4:_LONE_BODY], payload)
        if data[0] == _FIN | _BINARY:
            return bytes(payload)
        try:
            return payload.decode()
        except UnicodeDecodeError:
            return None

    def feed(self, data: bytes) -> list[Incoming]:
        """The messages that ``data`` completes. After :class:`Closing` or :class:`Violation` none follows."""
        if self._over:
            return []
        if self._parts:
            self._parts.append(data)
            self._here += len(data)
            if self._here < self._needed:
                return []
            data = b"".join(self._parts)
            self._parts.clear()
        found: list[Incoming] = []
        try:
            rest = self._read(data, found)
        except _Wrong as wrong:
            self._over = True
            found.append(wrong.violation)
            return found
        if rest < len(data) and not self._over:
            self._parts.append(data[rest:])
            self._here = len(data) - rest
        return found

    def _read(self, data: bytes, found: list[Incoming]) -> int:
        """Take the whole frames of ``data``; returns where the first one begins that is not whole."""
        at, end = 0, len(data)
        while not self._over:
            if end - at < 6:
                self._needed = 6
                return at
            first, second = data[at], data[at + 1]
            size, mask_at = second & 0x7F, at + 2
            if size > MAX_CONTROL_BYTES:
                mask_at = at + (4 if size == 126 else 10)
                if end < mask_at + 4:
                    self._needed = mask_at + 4 - at
                    self._check(first, second, size)
                    return at
                size = int.from_bytes(data[at + 2 : mask_at])
            if first != _FIN | _BINARY or second < _MASKED or size > self._most:
                self._check(first, second, size)
            body = mask_at + 4
            if end < body + size:
                self._needed = body + size - at
                return at
            at = body + size
            payload = bytearray(data[body:at])
            self._unmask(data[mask_at:body], payload)
            if first == _FIN | _BINARY and not self._kind:
                found.append(bytes(payload))
            else:
                self._take(first, bytes(payload), found)
        return at

    def _check(self, first: int, second: int, size: int) -> None:
        """What a frame's header alone may get wrong (sections 5.1, 5.2, 5.5)."""
        kind = first & _OPCODE
        if first & _RESERVED or kind in (3, 4, 5, 6, 7) or kind > _PONG:
            raise _Wrong(_PROTOCOL_ERROR, "a frame has a reserved bit or opcode")
        if second < _MASKED:
            raise _Wrong(_PROTOCOL_ERROR, "a client's frames must be masked")
        if kind >= _CLOSE and (size > MAX_CONTROL_BYTES or not first & _FIN):
            raise _Wrong(_PROTOCOL_ERROR, "a control frame is whole and has at most 125 bytes")
        if size + self._message_bytes > self._most:
            raise _Wrong(_TOO_BIG, f"a message has at most {self._most} bytes")

    def _take(self, first: int, payload: bytes, found: list[Incoming]) -> None:
        match first & _OPCODE:
            case 8:
                self._over = True
                found.append(_closing(payload))
            case 9:
                found.append(Ping(payload))
            case 10:
                found.append(Pong(payload))
            case kind:
                self._fragment(kind, payload, last=first >= _FIN, found=found)

    def _fragment(self, kind: int, payload: bytes, *, last: bool, found: list[Incoming]) -> None:
        if bool(kind) == bool(self._kind):
            raise _Wrong(_PROTOCOL_ERROR, "a message begins inside another one, or goes on without having begun")
        self._kind = self._kind or kind
        if payload:
            self._message.append(payload)
            self._message_bytes += len(payload)
        if last:
            whole, kind = b"".join(self._message), self._kind
            self._message, self._message_bytes, self._kind = [], 0, 0
            found.append(whole if kind == _BINARY else _text(whole))


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise _not_text() from None


def _not_text() -> _Wrong:
    return _Wrong(_BAD_PAYLOAD, "a text message is not UTF-8")


def _closing(payload: bytes) -> Closing:
    """Section 5.5.1 and 7.4."""
    if not payload:
        return Closing(NO_CODE)
    code = int.from_bytes(payload[:2])
    known = code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014)
    if len(payload) < 2 or not (known or 3000 <= code < 5000):
        raise _Wrong(_PROTOCOL_ERROR, "a close frame has a code that may not be sent")
    return Closing(code, _text(payload[2:]))


def frame_head(kind: int, size: int) -> bytes:
    """What comes before the ``size`` bytes of a server's whole frame."""
    if size < 126:
        return bytes((_FIN | kind, size))
    if size < 65_536:
        return struct.pack(">BBH", _FIN | kind, 126, size)
    return struct.pack(">BBQ", _FIN | kind, 127, size)


def text_frame(data: bytes) -> bytes:
    """UTF-8 text as a frame."""
    return frame_head(_TEXT, len(data)) + data


def binary_frame(data: bytes) -> bytes:
    """A binary message as a frame."""
    return frame_head(_BINARY, len(data)) + data


def ping_frame(data: bytes = b"") -> bytes:
    return frame_head(_PING, len(data)) + data


def pong_frame(data: bytes) -> bytes:
    return frame_head(_PONG, len(data)) + data


def close_frame(code: int, reason: bytes = b"") -> bytes:
    """``reason``: UTF-8, at most 123 bytes. No code where ``code`` is 1005."""
    payload = b"" if code == NO_CODE else code.to_bytes(2) + reason
    return frame_head(_CLOSE, len(payload)) + payload


@dataclass(frozen=True, slots=True)
class Handshake:
    """The headers of a ``101 Switching Protocols``."""

    accept: str
    subprotocol: str
    """Nothing where none was offered that is known."""


def shake_hands(headers: Mapping[str, str], protocols: tuple[str, ...]) -> Handshake | None:
    """The answer to an upgrade (section 4.2), or None where the request is no WebSocket handshake of version 13.

    ``headers`` must be blind to case. Of the ``protocols`` known the client's first is taken.
    """
    key = headers.get("Sec-WebSocket-Key", "").strip()
    tokens = [token.strip().lower() for token in headers.get("Connection", "").split(",")]
    try:
        whole = len(base64.b64decode(key, validate=True)) == 16
    except (binascii.Error, ValueError):
        whole = False
    version = headers.get("Sec-WebSocket-Version", "").strip()
    upgrade = headers.get("Upgrade", "").strip().lower()
    if not whole or "upgrade" not in tokens or upgrade != "websocket" or version != "13":
        return None
    offered = [entry.strip() for entry in headers.get("Sec-WebSocket-Protocol", "").split(",")]
    accept = base64.b64encode(hashlib.sha1(key.encode() + _KEY_SUFFIX, usedforsecurity=False).digest()).decode()
    return Handshake(accept, next((each for each in offered if each in protocols), ""))
