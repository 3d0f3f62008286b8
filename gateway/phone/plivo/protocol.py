"""Plivo audio streams (bidirectional) as a state machine without I/O. PURE.

Source: Plivo, "Audio Streaming XML" and its events. Everything is JSON text. ``playedStream`` comes back for a
checkpoint that was really played, never for one that ``clearAudio`` dropped. ``stop`` is not documented: the close is
the end.
"""

import re
from collections.abc import Sequence
from enum import Enum, auto
from typing import Final

import msgspec

from gateway.phone.fields import key_in, number_in, object_in, parameters_in, read_object, text_in
from gateway.phone.media import MediaReader
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
    SendText,
    Step,
)
from gateway.phone.payload import audio_in, envelope
from gateway.phone.protocol import Traits

NAME: Final = "plivo"
SUBPROTOCOL: Final = "audio.plivo.com"
TOKEN: Final = "token"  # noqa: S105 - a header's name
_PREFIX: Final = re.compile(r"^X-PH-", re.IGNORECASE)
"""What Plivo puts before the names of extra headers."""

_MEDIA: Final = MediaReader("streamId", always_named=False)


class _State(Enum):
    WAITING = auto()
    LIVE = auto()
    OVER = auto()


class PlivoProtocol:
    """One connection (see :class:`gateway.phone.protocol.PhoneProtocol`).

    ::

        WAITING --start--> LIVE --stop--> OVER
    """

    def __init__(self, *, big_endian: bool = False, packet_ms: int = 400) -> None:
        """``big_endian``: how L16 lies on the wire, where the stream was asked for as ``audio/x-l16``."""
        self.traits = Traits(
            buffers=True,
            has_clear=True,
            has_marks=True,
            clear_returns_marks=False,
            packet_ms=packet_ms,
            has_keys=True,
            close_hangs_up=False,
            handshake_s=10.0,
        )
        self._linear = "l16" if big_endian else "pcm16"
        self._state = _State.WAITING
        self._stream_id = ""
        self._head = b""
        self._clear = SendText(b"")

    def connected(self) -> Sequence[Send]:
        return ()

    def receive_text(self, text: str) -> Sequence[Step]:
        if self._state is _State.LIVE and (media := _MEDIA.read(text, self._stream_id)) is not None:
            return (Audio(media.payload),)
        fields = read_object(text)
        event = fields.get("event")
        match self._state:
            case _State.WAITING if event == "start":
                return (self._begin(fields, object_in(fields, "start")),)
            case _State.WAITING:
                raise ProtocolViolation("wrong_order", "the first message must be start")
            case _State.OVER:
                return (Ignored("after_end"),)
            case _State.LIVE if event == "start":
                raise ProtocolViolation("second_start", "the stream has begun")
            case _State.LIVE if fields.get("streamId", self._stream_id) != self._stream_id:
                return (Ignored("foreign_stream"),)
        match event:
            case "media":
                return (self._hear(object_in(fields, "media")),)
            case "playedStream":
                return (MarkReturned(text_in(fields, "name")),)
            case "clearedAudio":
                return (Cleared(),)
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
        message = {"event": "checkpoint", "streamId": self._stream_id, "name": name}
        return (SendText(msgspec.json.encode(message)),)

    def clear(self) -> Sequence[Send]:
        return (self._clear,)

    def press_keys(self, digits: str) -> Sequence[Send]:
        return (SendText(msgspec.json.encode({"event": "sendDTMF", "dtmf": digits})),)

    def hang_up(self, reason: str) -> Sequence[Send]:
        return ()

    def _begin(self, fields: dict[str, object], start: dict[str, object]) -> Began:
        stream_id, call_id = text_in(start, "streamId"), text_in(start, "callId")
        if not (stream_id and call_id):
            raise ProtocolViolation("missing_field", "start must name streamId and callId")
        media = object_in(start, "mediaFormat")
        content, rate = media.get("encoding"), number_in(media, "sampleRate")
        match content, rate:
            case "audio/x-mulaw", 8_000:
                audio = PhoneFormat("pcmu", 8_000)
            case "audio/x-l16", (8_000 | 16_000) as linear_rate:
                audio = PhoneFormat(self._linear, linear_rate)
            case _:
                raise ProtocolViolation("bad_format", "mediaFormat must be audio/x-mulaw at 8000 or audio/x-l16")
        self._state, self._stream_id = _State.LIVE, stream_id
        shape = {"contentType": content, "sampleRate": rate}
        self._head = b'{"event":"playAudio","media":' + msgspec.json.encode(shape)[:-1] + b',"payload":"'
        self._clear = SendText(msgspec.json.encode({"event": "clearAudio", "streamId": stream_id}))
        extra = _extra_headers(text_in(fields, "extra_headers"))
        call = PhoneCall(
            NAME,
            call_id,
            stream_id,
            account_id=text_in(start, "accountId"),
            parameters=parameters_in(extra, without=(TOKEN,)),
            token=text_in(extra, TOKEN),
        )
        return Began(call, audio, audio)

    def _hear(self, media: dict[str, object]) -> Step:
        if media.get("track", "inbound") != "inbound":
            return Ignored("other_track")
        audio = audio_in(media.get("payload"))
        return Ignored("bad_media") if audio is None else Audio(audio)


def _extra_headers(text: str) -> dict[str, object]:
    """``name=value;name=value``, with or without Plivo's prefix and braces."""
    pairs = (pair.partition("=") for pair in text.strip("{} ").replace(",", ";").split(";"))
    return {_PREFIX.sub("", name.strip()): value.strip() for name, equals, value in pairs if equals}
