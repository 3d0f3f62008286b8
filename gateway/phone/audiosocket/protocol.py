"""Asterisk AudioSocket as a state machine without I/O. PURE. Source: Asterisk documentation, "AudioSocket".

The first message is a UUID that the dial plan chose: it is the call's id, and the capability at once. Then audio flows,
linear PCM, little-endian. Asterisk plays what arrives when it arrives, so one frame is sent every 20 ms. From us it
takes audio and a hang-up; anything else, and audio without a sample, would make it drop the call.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.phone.audiosocket import wire
from gateway.phone.fields import KEYS
from gateway.phone.messages import (
    Audio,
    Began,
    Ended,
    Ignored,
    KeyPressed,
    PhoneCall,
    PhoneFormat,
    ProtocolViolation,
    Send,
    SendBinary,
    Step,
)
from gateway.phone.protocol import Traits

NAME: Final = "audiosocket"
RATES_HZ: Final = (8_000, 16_000, 24_000, 48_000)
"""What we can speak."""
_HANG_UP: Final = SendBinary(wire.encode(wire.HANG_UP))
_IDENTITY: Final = (wire.UUID, 16)
_TRAITS: Final = Traits(buffers=False, has_clear=False, has_marks=False, handshake_s=5.0)


@dataclass(frozen=True, slots=True)
class AudioSocketOptions:
    rate_hz: int = 8_000
    """Rate of both directions: the dial plan's ``AudioSocket()`` always has 8000. 0: that of the first audio that comes
    (for the channel driver with ``c(slin16)``); the call begins with it."""
    types: Mapping[int, int] = field(default_factory=lambda: dict(wire.AUDIO_RATES_HZ))
    """Rate by message type; builds differ."""
    secret_uuid: bool = True
    """The UUID is a capability that we handed out. False: it is any name of the call."""


class AudioSocketProtocol:
    """One connection (see :class:`gateway.phone.protocol.PhoneProtocol`).

    ::

        NEW --UUID--> (rate known) LIVE --hang-up, error--> OVER
    """

    traits = _TRAITS

    def __init__(self, options: AudioSocketOptions) -> None:
        self._options = options
        self._reader = wire.MessageReader()
        self._call_id = ""
        self._rate_hz = 0
        self._over = False

    def connected(self) -> Sequence[Send]:
        return []

    def receive_text(self, text: str) -> Sequence[Step]:
        raise _broken("wrong_kind", "a TCP line has no text messages")

    def receive_binary(self, data: bytes) -> Sequence[Step]:
        steps = [step for message in self._reader.push(data) for step in self._take(message)]
        if not self._call_id and self._reader.coming not in (None, _IDENTITY) and not self._over:
            raise _broken("wrong_order", "the first message must be a UUID of 16 bytes")  # whatever else is to come
        return steps

    def accepted(self) -> Sequence[Send]:
        return []

    def refused(self, code: str) -> Sequence[Send]:
        return self.hang_up(code)

    def play(self, packet: bytes) -> Sequence[Send]:
        return [SendBinary(wire.encode(self._audio_type(), packet))] if packet and not self._over else []

    def mark(self, name: str) -> Sequence[Send]:
        return []

    def clear(self) -> Sequence[Send]:
        return []

    def press_keys(self, digits: str) -> Sequence[Send]:
        return []

    def hang_up(self, reason: str) -> Sequence[Send]:
        return [] if self._over else [_HANG_UP]

    def _take(self, message: wire.Message) -> Sequence[Step]:
        if self._over:
            return [Ignored("after_end")]
        if not self._call_id:
            return self._identify(message)
        match message.kind:
            case wire.HANG_UP:
                self._over = True
                return [Ended("caller")]
            case wire.ERROR:
                self._over = True
                return [Ended("error")]
            case wire.UUID:
                raise _broken("second_start", "a UUID came twice")
            case wire.DTMF:
                key = message.payload.decode("latin-1").upper()
                return [KeyPressed(key) if key in KEYS and self._rate_hz else Ignored("bad_key")]
            case kind if kind in self._options.types:
                return self._hear(self._options.types[kind], message.payload)
            case _:
                return [Ignored("unknown_type")]

    def _identify(self, message: wire.Message) -> Sequence[Step]:
        if message.kind == wire.HANG_UP:
            self._over = True
            return [Ended("caller")]
        if (message.kind, len(message.payload)) != _IDENTITY:
            raise _broken("wrong_order", "the first message must be a UUID of 16 bytes")
        self._call_id = str(uuid.UUID(bytes=message.payload))
        return [self._begin(self._options.rate_hz)] if self._options.rate_hz else []

    def _hear(self, rate_hz: int, payload: bytes) -> Sequence[Step]:
        began = [] if self._rate_hz else [self._begin(rate_hz)]
        if rate_hz != self._rate_hz:
            raise _broken("bad_format", f"audio came at {rate_hz} Hz, the call has {self._rate_hz} Hz")
        return [*began, Audio(payload) if payload else Ignored("empty_audio")]

    def _begin(self, rate_hz: int) -> Began:
        if rate_hz not in RATES_HZ or rate_hz not in self._options.types.values():
            raise _broken("bad_format", f"{rate_hz} Hz is not one of {RATES_HZ} that the type table has")
        self._rate_hz = rate_hz
        audio = PhoneFormat("pcm16", rate_hz)
        # Whoever knows a UUID that the dial plan got from us may speak, once.
        token = self._call_id if self._options.secret_uuid else ""
        return Began(PhoneCall(NAME, self._call_id, token=token), audio, audio)

    def _audio_type(self) -> int:
        return next(kind for kind, rate in self._options.types.items() if rate == self._rate_hz)


def _broken(code: str, why: str) -> ProtocolViolation:
    return ProtocolViolation(code, why, last_words=(_HANG_UP,))
