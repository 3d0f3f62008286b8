"""Twilio Media Streams (bidirectional) as a state machine without I/O. PURE.

Source: Twilio, "Media Streams - WebSocket Messages" and "TwiML Voice: Stream". Everything is JSON text, audio is mu-law
at 8 kHz in base64. Twilio buffers what it gets and plays it in order. A mark comes back when all before it has played,
and at once when a ``clear`` drops it. Closing the socket ends ``<Connect>``.
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

NAME: Final = "twilio"
TOKEN: Final = "token"  # noqa: S105 - a parameter's name
"""Name of the ``<Parameter>`` that holds our capability: Twilio drops a query of the stream's address."""
_AUDIO: Final = PhoneFormat("pcmu", 8_000)

_MEDIA: Final = MediaReader("streamSid")


class _State(Enum):
    WAITING = auto()
    LIVE = auto()
    OVER = auto()


class TwilioProtocol:
    """One connection (see :class:`gateway.phone.protocol.PhoneProtocol`).

    ::

        WAITING --start--> LIVE --stop--> OVER
    """

    def __init__(self, *, returns: bool, packet_ms: int = 400) -> None:
        """``returns``: our answer had an ``action``, so that a broken stream comes back."""
        self.traits = Traits(
            buffers=True, has_clear=True, has_marks=True, packet_ms=packet_ms, returns=returns, handshake_s=10.0
        )
        self._state = _State.WAITING
        self._stream_id = ""
        self._head = self._mark_head = b""
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
            case _State.LIVE if fields.get("streamSid") != self._stream_id:
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
        return (SendText(self._mark_head + msgspec.json.encode(name) + b"}}"),)

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
        stream_id, call_id = text_in(start, "streamSid") or text_in(fields, "streamSid"), text_in(start, "callSid")
        if not (stream_id and call_id):
            raise ProtocolViolation("missing_field", "start must name streamSid and callSid")
        media = object_in(start, "mediaFormat")
        if media.get("encoding") != "audio/x-mulaw" or media.get("sampleRate") != 8000 or media.get("channels") != 1:
            raise ProtocolViolation("bad_format", "mediaFormat must be audio/x-mulaw, 8000 Hz, one channel")
        self._state, self._stream_id = _State.LIVE, stream_id
        named = msgspec.json.encode(stream_id)
        self._head = b'{"event":"media","streamSid":' + named + b',"media":{"payload":"'
        self._mark_head = b'{"event":"mark","streamSid":' + named + b',"mark":{"name":'
        self._clear = SendText(b'{"event":"clear","streamSid":' + named + b"}")
        custom = object_in(start, "customParameters")
        call = PhoneCall(
            NAME,
            call_id,
            stream_id,
            account_id=text_in(start, "accountSid"),
            parameters=parameters_in(custom, without=(TOKEN,)),
            token=text_in(custom, TOKEN),
        )
        return Began(call, _AUDIO, _AUDIO)

    def _hear(self, media: dict[str, object]) -> Step:
        if media.get("track", "inbound") != "inbound":
            return Ignored("other_track")
        audio = audio_in(media.get("payload"))
        return Ignored("bad_media") if audio is None else Audio(audio, number_in(media, "timestamp"))
