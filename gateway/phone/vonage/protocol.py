"""Vonage Voice WebSocket as a state machine without I/O. PURE.

Source: Vonage "WebSockets" concept page. Binary messages are linear PCM, little-endian, 20 ms each, in both directions;
text messages are JSON. The first one is ``websocket:connected``, and holds the custom headers of our NCCO at its top
level: they carry which call it is, and our token.
"""

import re
from collections.abc import Sequence
from enum import Enum, auto
from typing import Final

import msgspec

from gateway.phone.fields import direction_in, key_in, object_in, parameters_in, read_object, text_in
from gateway.phone.messages import (
    Audio,
    Began,
    Cleared,
    Ended,
    Ignored,
    KeyPressed,
    MarkReturned,
    PhoneCall,
    PhoneFormat,
    ProtocolViolation,
    Send,
    SendBinary,
    SendText,
    Step,
)
from gateway.phone.protocol import Traits

NAME: Final = "vonage"
RATES_HZ: Final = (8_000, 16_000, 24_000)
CALL_ID: Final = "call_id"
TOKEN: Final = "token"  # noqa: S105 - a header's name
CALLER: Final = "caller"
CALLED: Final = "called"
DIRECTION: Final = "direction"
"""Names of the headers that our NCCO gives to the WebSocket."""

_TRAITS: Final = Traits(buffers=True, has_clear=True, has_marks=True, handshake_s=10.0)
_CONTENT_TYPE: Final = re.compile(r"audio/l16;\s*rate=(\d{4,6})", re.IGNORECASE)
_OWN: Final = frozenset({"event", "content-type", CALL_ID, TOKEN, CALLER, CALLED, DIRECTION})
_CLEAR: Final = SendText(b'{"action":"clear"}')


class _State(Enum):
    WAITING = auto()
    LIVE = auto()
    OVER = auto()


class VonageProtocol:
    """One connection (see :class:`gateway.phone.protocol.PhoneProtocol`).

    ::

        WAITING --websocket:connected--> LIVE --websocket:disconnected--> OVER
    """

    traits = _TRAITS

    def __init__(self, call_id: str = "") -> None:
        """``call_id``: what the call is called where the NCCO does not say it; empty: then it is refused."""
        self._call_id = call_id
        self._state = _State.WAITING
        self._packet_bytes = 0

    def connected(self) -> Sequence[Send]:
        return []

    def receive_text(self, text: str) -> Sequence[Step]:
        fields = read_object(text)
        match fields.get("event"):
            case "websocket:connected":
                return self._connect(fields)
            case _ if self._state is _State.WAITING:
                raise ProtocolViolation("wrong_order", "the first message must be websocket:connected")
            case _ if self._state is _State.OVER:
                return [Ignored("after_end")]
            case "websocket:dtmf":
                return self._press(fields)
            case "websocket:notify":
                mark = text_in(object_in(fields, "payload"), "mark")
                return [MarkReturned(mark) if mark else Ignored("foreign_mark")]
            case "websocket:cleared":
                return [Cleared()]
            case "websocket:disconnected":
                self._state = _State.OVER
                return [Ended("caller")]
            case "websocket:media:update":
                return [Ignored("media_update")]
            case _:
                return [Ignored("unknown_event")]

    def receive_binary(self, data: bytes) -> Sequence[Step]:
        match self._state:
            case _State.WAITING:
                raise ProtocolViolation("wrong_order", "audio came before websocket:connected")
            case _State.LIVE if data:
                return [Audio(data)]
            case _:
                return [Ignored("empty_audio" if not data else "after_end")]

    def accepted(self) -> Sequence[Send]:
        return []

    def refused(self, code: str) -> Sequence[Send]:
        return []

    def play(self, packet: bytes) -> Sequence[Send]:
        """Vonage drops what is not exactly 20 ms: a shorter end is padded with silence."""
        size = self._packet_bytes
        return [SendBinary(packet[at : at + size].ljust(size, b"\0")) for at in range(0, len(packet), size)]

    def mark(self, name: str) -> Sequence[Send]:
        return [SendText(msgspec.json.encode({"action": "notify", "payload": {"mark": name}}))]

    def clear(self) -> Sequence[Send]:
        return [_CLEAR]

    def press_keys(self, digits: str) -> Sequence[Send]:
        return []

    def hang_up(self, reason: str) -> Sequence[Send]:
        return []

    def _connect(self, fields: dict[str, object]) -> Sequence[Step]:
        if self._state is not _State.WAITING:
            raise ProtocolViolation("second_start", "websocket:connected came twice")
        wanted = _CONTENT_TYPE.fullmatch(text_in(fields, "content-type").strip())
        rate = int(wanted.group(1)) if wanted else 0
        if rate not in RATES_HZ:
            raise ProtocolViolation("bad_format", "content-type must be audio/l16;rate= with 8000, 16000 or 24000")
        call_id = text_in(fields, CALL_ID, "uuid", "conversation_uuid") or self._call_id
        if not call_id:
            raise ProtocolViolation("missing_field", f"the NCCO must give the WebSocket the header {CALL_ID}")
        self._state = _State.LIVE
        self._packet_bytes = rate // 50 * 2
        call = PhoneCall(
            NAME,
            call_id,
            caller=text_in(fields, CALLER),
            called=text_in(fields, CALLED),
            direction=direction_in(fields, DIRECTION),
            parameters=parameters_in(fields, without=_OWN),
            token=text_in(fields, TOKEN),
        )
        audio = PhoneFormat("pcm16", rate)
        return [Began(call, audio, audio)]

    def _press(self, fields: dict[str, object]) -> Sequence[Step]:
        """``digit`` at the top level; older builds nest it."""
        key = key_in(fields, "digit") or key_in(object_in(fields, "dtmf"), "digit")
        return [KeyPressed(key) if key else Ignored("bad_key")]
