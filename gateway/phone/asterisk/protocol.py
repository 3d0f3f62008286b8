"""Asterisk's WebSocket channel (``chan_websocket``), Asterisk as the client, as a state machine without I/O. PURE.

Source: Asterisk documentation, "WebSocket channel driver", and ``channels/chan_websocket.c``. Binary messages are media
in the channel's format, text messages control. The channel queues 1000 frames and paces them itself; from 900 on it
says ``MEDIA_XOFF``. There is no hang-up event: the close is it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.phone.asterisk.control import ControlEvent, command, read_event
from gateway.phone.fields import key_in, number_in, object_in, parameters_in, text_in
from gateway.phone.messages import (
    Audio,
    Began,
    Drained,
    Ignored,
    KeyPressed,
    MarkReturned,
    PeerPaused,
    PeerResumed,
    PhoneCall,
    PhoneFormat,
    ProtocolViolation,
    Send,
    SendBinary,
    Step,
)
from gateway.phone.protocol import Traits

NAME: Final = "asterisk"
SUBPROTOCOL: Final = "media"
FORMATS: Final[Mapping[str, PhoneFormat]] = {
    "ulaw": PhoneFormat("pcmu", 8_000),
    "alaw": PhoneFormat("pcma", 8_000),
    "slin": PhoneFormat("pcm16", 8_000),
    "slin16": PhoneFormat("pcm16", 16_000),
    "slin24": PhoneFormat("pcm16", 24_000),
    "slin48": PhoneFormat("pcm16", 48_000),
}
"""Asterisk's names. Its linear formats have the byte order of the machine: little-endian on all that matter."""
MAX_MESSAGE_BYTES: Final = 65_500
"""A longer message makes Asterisk end the call."""
MAX_EARLY_BYTES: Final = 32_768
"""Audio that is kept until ``MEDIA_START`` comes: a second at 16 kHz."""
XOFF_BOUND_S: Final = 20.0
"""The whole queue's length: after it there is room, whatever was said (``MEDIA_XON`` may never come)."""
_SILENCE: Final = {"pcmu": b"\xff", "pcma": b"\xd5", "pcm16": b"\0"}
_TEXTS: Final = frozenset({"STATUS", "MEDIA_BUFFERING_COMPLETED", "ERROR"})
_OWN: Final = frozenset({"caller", "called", "token", "CALLERID(num)", "EXTEN"})


@dataclass(frozen=True, slots=True)
class ChannelOptions:
    """How the channel is dialled; what of it does not show on the wire."""

    answer: bool = False
    """We answer the channel (it was dialled with ``n``): it rings until the agent is there."""
    buffering: bool = False
    """``START_MEDIA_BUFFERING``: the channel keeps what fills no frame. Else every message is whole frames."""
    format: str = "ulaw"
    """Format of channels that do not tell it (before 20.16.1, 22.6.1)."""
    packet_ms: int = 40
    """Audio in one message (our choice: half the messages of 20 ms)."""


@dataclass(frozen=True, slots=True)
class Address:
    """What the address of the connection told (dial option ``v()``)."""

    parameters: Mapping[str, str] = field(default_factory=dict)


class AsteriskProtocol:
    """One connection (see :class:`gateway.phone.protocol.PhoneProtocol`).

    ::

        NEW (audio is kept) --MEDIA_START--> LIVE --hang_up()--> OVER
    """

    def __init__(self, options: ChannelOptions, address: Address) -> None:
        self._options = options
        self._address = address
        self._format: PhoneFormat | None = None
        self._frame_bytes = 0
        self._as_json = False
        self._early = b""
        self._over = False
        self.traits = _traits(options.packet_ms, 20)

    def connected(self) -> Sequence[Send]:
        return []

    def receive_text(self, text: str) -> Sequence[Step]:
        event = read_event(text)
        if event.name == "MEDIA_START":
            return self._start(event)
        if self._format is None:
            raise ProtocolViolation("wrong_order", "the first event must be MEDIA_START")
        match event.name:
            case "DTMF_END":
                key = key_in(event.fields, "digit")
                return [KeyPressed(key) if key else Ignored("bad_key")]
            case "MEDIA_XOFF":
                return [PeerPaused(XOFF_BOUND_S)]
            case "MEDIA_XON":
                return [PeerResumed()]
            case "MEDIA_MARK_PROCESSED":
                mark = text_in(event.fields, "correlation_id")
                return [MarkReturned(mark) if mark else Ignored("foreign_mark")]
            case "QUEUE_DRAINED":
                return [Drained()]
            case name if name in _TEXTS:
                return [Ignored(name.lower())]
            case _:
                return [Ignored("unknown_event")]

    def receive_binary(self, data: bytes) -> Sequence[Step]:
        if not data:
            return [Ignored("empty_audio")]
        if self._format is not None:
            return [Audio(data)]
        if len(self._early) + len(data) > MAX_EARLY_BYTES:
            raise ProtocolViolation("wrong_order", f"more than {MAX_EARLY_BYTES} bytes of audio before MEDIA_START")
        self._early += data
        return [Ignored("early_audio")]

    def accepted(self) -> Sequence[Send]:
        answer = [self._say("ANSWER")] if self._options.answer else []
        return [*answer, *self._buffer()]

    def refused(self, code: str) -> Sequence[Send]:
        return self.hang_up(code)

    def play(self, packet: bytes) -> Sequence[Send]:
        """Whole frames: a tail that fills none would be dropped, or wait in the buffer, so it is filled up."""
        if self._over or self._format is None:
            return []
        tail = -len(packet) % self._frame_bytes
        packet += _SILENCE[self._format.encoding] * tail
        most = MAX_MESSAGE_BYTES // self._frame_bytes * self._frame_bytes
        return [SendBinary(packet[at : at + most]) for at in range(0, len(packet), most)]

    def mark(self, name: str) -> Sequence[Send]:
        return [self._say("MARK_MEDIA", name)]

    def clear(self) -> Sequence[Send]:
        """A flush ends buffering, so it begins anew."""
        return [self._say("FLUSH_MEDIA"), *self._buffer()]

    def press_keys(self, digits: str) -> Sequence[Send]:
        return []

    def hang_up(self, reason: str) -> Sequence[Send]:
        if self._over:
            return []
        self._over = True
        return [self._say("HANGUP")]

    def _start(self, event: ControlEvent) -> Sequence[Step]:
        if self._format is not None:
            raise ProtocolViolation("second_start", "MEDIA_START came twice")
        self._as_json = event.as_json
        name = text_in(event.fields, "format") or self._options.format
        form = FORMATS.get(name)
        if form is None:
            known = ", ".join(FORMATS)
            raise ProtocolViolation(
                "bad_format", f"the channel's format is one of {known}: c(slin16)", last_words=self._last()
            )
        call_id = text_in(event.fields, "channel_id", "channel")
        if not call_id:
            raise ProtocolViolation(
                "missing_field", "MEDIA_START must have channel_id or channel", last_words=self._last()
            )
        self._frame_bytes, ptime_ms = self._framing(event, form)
        least_ms = math.lcm(20, ptime_ms)
        self.traits = _traits(math.lcm(least_ms, self._options.packet_ms), least_ms)
        self._format = form
        began = Began(self._call(call_id, event), form, form)
        early, self._early = self._early, b""
        return [began, *([Audio(early)] if early else [])]

    def _framing(self, event: ControlEvent, form: PhoneFormat) -> tuple[int, int]:
        """Bytes and milliseconds of the channel's frame."""
        bytes_per_ms = form.rate_hz // 1000 * (2 if form.encoding == "pcm16" else 1)
        ptime = number_in(event.fields, "ptime") or 20
        size = number_in(event.fields, "optimal_frame_size") or ptime * bytes_per_ms
        if not 10 <= ptime <= 100 or size != ptime * bytes_per_ms:
            why = f"optimal_frame_size {size} is not {ptime} ms of {form}"
            raise ProtocolViolation("bad_format", why, last_words=self._last())
        return size, ptime

    def _call(self, call_id: str, event: ControlEvent) -> PhoneCall:
        told = {**object_in(event.fields, "channel_variables"), **self._address.parameters}
        return PhoneCall(
            NAME,
            call_id,
            stream_id=text_in(event.fields, "connection_id"),
            caller=text_in(told, "caller", "CALLERID(num)"),
            called=text_in(told, "called", "EXTEN"),
            parameters=parameters_in(told, without=_OWN),
        )

    def _buffer(self) -> Sequence[Send]:
        return [self._say("START_MEDIA_BUFFERING")] if self._options.buffering else []

    def _last(self) -> tuple[Send, ...]:
        return tuple(self.hang_up(""))

    def _say(self, name: str, correlation_id: str = "") -> Send:
        return command(name, correlation_id, as_json=self._as_json)


def _traits(packet_ms: int, least_ms: int) -> Traits:
    return Traits(
        buffers=True,
        has_clear=True,
        has_marks=True,
        clear_returns_marks=False,
        packet_ms=packet_ms,
        least_ms=least_ms,
        farewell_s=2.0,
    )
