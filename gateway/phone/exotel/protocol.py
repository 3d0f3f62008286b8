"""Exotel's Voicebot applet as a state machine without I/O. PURE.

Source: Exotel, "Working with the Stream and Voicebot applet". Everything is JSON text, audio is linear PCM,
little-endian, at 8 kHz (or 16 or 24, by the address's query). Exotel takes audio in messages of 3.2 kB to 100 kB, in
multiples of 320 bytes, and ends a stream after an hour.
"""

from collections.abc import Sequence
from enum import Enum, auto
from typing import Final

import msgspec

from gateway.phone.fields import key_in, number_in, object_in, parameters_in, read_object, text_in
from gateway.phone.media import MediaReader
from gateway.phone.messages import (
    Audio,
    Began,
    Ended,
    Ignored,
    KeyPressed,
    MarkReturned,
    PhoneCall,
    PhoneFormat,
    ProtocolViolation,
    Send,
    SendText,
    Step,
)
from gateway.phone.payload import audio_in, envelope
from gateway.phone.protocol import Traits

NAME: Final = "exotel"
TOKEN: Final = "token"  # noqa: S105 - a parameter's name
_PACKET_MS: Final = {8_000: 200, 16_000: 100, 24_000: 80}
"""Shortest packets that are whole frames, 3200 bytes or more, and a multiple of 320 bytes."""
_STREAM_S: Final = 3_600.0

_MEDIA: Final = MediaReader("stream_sid")


class _State(Enum):
    WAITING = auto()
    LIVE = auto()
    OVER = auto()


class ExotelProtocol:
    """One connection (see :class:`gateway.phone.protocol.PhoneProtocol`).

    ::

        WAITING --start--> LIVE --stop--> OVER
    """

    def __init__(self) -> None:
        self.traits = _traits(8_000)
        self._state = _State.WAITING
        self._stream_id = ""
        self._head = b""
        self._clear = SendText(b"")

    def connected(self) -> Sequence[Send]:
        return ()

    def receive_text(self, text: str) -> Sequence[Step]:
        if self._state is _State.LIVE and (media := _MEDIA.read(text, self._stream_id)) is not None:
            return (Audio(media.payload, media.timestamp),)
        fields = read_object(text)
        event = fields.get("event")
        match self._state:
            case _State.WAITING:
                return self._wait(event, fields)
            case _State.OVER:
                return (Ignored("after_end"),)
            case _State.LIVE if event == "start":
                raise ProtocolViolation("second_start", "the stream has begun")
            case _State.LIVE if fields.get("stream_sid") != self._stream_id:
                return (Ignored("foreign_stream"),)
        match event:
            case "media":
                return (self._hear(object_in(fields, "media")),)
            case "mark":
                return (MarkReturned(text_in(object_in(fields, "mark"), "name")),)
            case "dtmf":
                key = key_in(object_in(fields, "dtmf"), "digit")
                return (KeyPressed(key) if key else Ignored("bad_key"),)
            case "stop":
                self._state = _State.OVER
                return (Ended("caller"),)
            case _:
                return (Ignored("unknown_event"),)

    def receive_binary(self, data: bytes) -> Sequence[Step]:
        return (Ignored("binary"),)

    def accepted(self) -> Sequence[Send]:
        return ()

    def refused(self, code: str) -> Sequence[Send]:
        return ()

    def play(self, packet: bytes) -> Sequence[Send]:
        return (SendText(envelope(self._head, packet, b'"}}')),)

    def mark(self, name: str) -> Sequence[Send]:
        message = {"event": "mark", "stream_sid": self._stream_id, "mark": {"name": name}}
        return (SendText(msgspec.json.encode(message)),)

    def clear(self) -> Sequence[Send]:
        return (self._clear,)

    def press_keys(self, digits: str) -> Sequence[Send]:
        return ()

    def hang_up(self, reason: str) -> Sequence[Send]:
        return ()

    def _wait(self, event: object, fields: dict[str, object]) -> Sequence[Step]:
        match event:
            case "connected":
                return (Ignored("connected"),)
            case "start":
                return (self._begin(fields, object_in(fields, "start")),)
            case _:
                raise ProtocolViolation("wrong_order", "the first message after connected must be start")

    def _begin(self, fields: dict[str, object], start: dict[str, object]) -> Began:
        stream_id, call_id = text_in(start, "stream_sid") or text_in(fields, "stream_sid"), text_in(start, "call_sid")
        if not (stream_id and call_id):
            raise ProtocolViolation("missing_field", "start must name stream_sid and call_sid")
        rate = number_in(object_in(start, "media_format"), "sample_rate") or 8_000
        if rate not in _PACKET_MS:
            raise ProtocolViolation("bad_format", "sample_rate must be 8000, 16000 or 24000")
        self._state, self._stream_id, self.traits = _State.LIVE, stream_id, _traits(rate)
        named = msgspec.json.encode(stream_id)
        self._head = b'{"event":"media","stream_sid":' + named + b',"media":{"payload":"'
        self._clear = SendText(b'{"event":"clear","stream_sid":' + named + b"}")
        custom = object_in(start, "custom_parameters")
        call = PhoneCall(
            NAME,
            call_id,
            stream_id,
            account_id=text_in(start, "account_sid"),
            caller=text_in(start, "from"),
            called=text_in(start, "to"),
            parameters=parameters_in(custom, without=(TOKEN,)),
            token=text_in(custom, TOKEN),
        )
        audio = PhoneFormat("pcm16", rate)
        return Began(call, audio, audio)

    def _hear(self, media: dict[str, object]) -> Step:
        audio = audio_in(media.get("payload"))
        return Ignored("bad_media") if audio is None else Audio(audio, number_in(media, "timestamp"))


def _traits(rate_hz: int) -> Traits:
    packet_ms = _PACKET_MS[rate_hz]
    return Traits(
        buffers=True,
        has_clear=True,
        has_marks=True,
        packet_ms=packet_ms,
        least_ms=packet_ms,
        handshake_s=10.0,
        session_s=_STREAM_S,
    )
