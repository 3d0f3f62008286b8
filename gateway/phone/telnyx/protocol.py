"""Telnyx media streaming as a state machine without I/O. PURE.

Source: Telnyx, "Stream call media over WebSocket" (AsyncAPI) and the media streaming guide. Everything is JSON text.
The caller's audio comes in the codec of the call's leg, and in no guaranteed order: ``chunk`` puts it right. What we
send has the codec that the stream was started with. ``clear`` drops what was not played and returns the waiting marks.
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
from gateway.phone.reorder import Reorder

NAME: Final = "telnyx"
TOKEN: Final = "token"  # noqa: S105 - a parameter's name
CODECS: Final[dict[str, tuple[str, tuple[int, ...]]]] = {
    "PCMU": ("pcmu", (8_000, 16_000)),
    "PCMA": ("pcma", (8_000, 16_000)),
    "L16": ("l16", (8_000, 16_000, 24_000)),
    "OPUS": ("opus", (8_000, 16_000, 24_000, 48_000)),
}
"""Telnyx's name to ours, and the rates. G722 and AMR-WB are not decoded."""
_CLEAR: Final = SendText(b'{"event":"clear"}')

_MEDIA: Final = MediaReader("stream_id", always_named=False)


class _State(Enum):
    WAITING = auto()
    LIVE = auto()
    OVER = auto()


class TelnyxProtocol:
    """One connection (see :class:`gateway.phone.protocol.PhoneProtocol`).

    ::

        WAITING --start--> LIVE --stop--> OVER
    """

    def __init__(self, spoken: PhoneFormat, *, little_endian: bool, returns: bool, packet_ms: int = 400) -> None:
        """``spoken``: ``stream_bidirectional_codec`` and its rate. ``little_endian``: how L16 lies on the wire."""
        self._spoken = spoken
        self._little_endian = little_endian
        one_packet = spoken.encoding == "opus"  # one Opus packet a message (RFC 7587)
        self.traits = Traits(
            buffers=True,
            has_clear=True,
            has_marks=True,
            packet_ms=20 if one_packet else packet_ms,
            returns=returns,
            close_hangs_up=False,
            handshake_s=10.0,
        )
        self._state = _State.WAITING
        self._stream_id = ""
        self._order: Reorder[Audio] = Reorder()

    def connected(self) -> Sequence[Send]:
        return ()

    def receive_text(self, text: str) -> Sequence[Step]:
        if self._state is _State.LIVE and (media := _MEDIA.read(text, self._stream_id)) is not None:
            return self._ordered(Audio(media.payload, media.timestamp), media.chunk)
        fields = read_object(text)
        event = fields.get("event")
        match self._state:
            case _State.WAITING:
                return self._wait(event, fields)
            case _State.OVER:
                return (Ignored("after_end"),)
            case _State.LIVE if event == "start":
                raise ProtocolViolation("second_start", "the stream has begun")
            case _State.LIVE if fields.get("stream_id", self._stream_id) != self._stream_id:
                return (Ignored("foreign_stream"),)
        match event:
            case "media":
                return self._hear(object_in(fields, "media"))
            case "mark":
                return (MarkReturned(text_in(object_in(fields, "mark"), "name")),)
            case "dtmf":
                key = key_in(object_in(fields, "dtmf"), "digit")
                return (KeyPressed(key) if key else Ignored("bad_key"),)
            case "stop":
                self._state = _State.OVER
                return (Ended("caller"),)
            case "error":
                return (Ignored("carrier_error"),)
            case _:
                return (Ignored("unknown_event"),)

    def receive_binary(self, data: bytes) -> Sequence[Step]:
        return (Ignored("binary"),)

    def accepted(self) -> Sequence[Send]:
        return ()

    def refused(self, code: str) -> Sequence[Send]:
        return ()

    def play(self, packet: bytes) -> Sequence[Send]:
        return (SendText(envelope(b'{"event":"media","media":{"payload":"', packet, b'"}}')),)

    def mark(self, name: str) -> Sequence[Send]:
        return (SendText(msgspec.json.encode({"event": "mark", "mark": {"name": name}})),)

    def clear(self) -> Sequence[Send]:
        return (_CLEAR,)

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
        stream_id, call_id = text_in(fields, "stream_id"), text_in(start, "call_control_id")
        if not (stream_id and call_id):
            raise ProtocolViolation("missing_field", "start must name stream_id and call_control_id")
        media = object_in(start, "media_format")
        encoding, rates = CODECS.get(text_in(media, "encoding").upper(), ("", ()))
        rate = number_in(media, "sample_rate") or 0
        if rate not in rates or media.get("channels", 1) != 1:
            raise ProtocolViolation("bad_format", f"media_format must be mono and one of {', '.join(CODECS)}")
        self._state, self._stream_id = _State.LIVE, stream_id
        custom = object_in(start, "custom_parameters")
        call = PhoneCall(
            NAME,
            call_id,
            stream_id,
            account_id=text_in(start, "user_id"),
            caller=text_in(start, "from"),
            called=text_in(start, "to"),
            parameters=parameters_in(custom, without=(TOKEN,)),
            token=text_in(custom, TOKEN),
        )
        if encoding == "l16" and self._little_endian:
            encoding = "pcm16"
        return Began(call, PhoneFormat(encoding, rate), self._spoken)

    def _hear(self, media: dict[str, object]) -> Sequence[Step]:
        if media.get("track", "inbound") != "inbound":  # both tracks: the other one is what we said
            return (Ignored("other_track"),)
        data = audio_in(media.get("payload"))
        if data is None:
            return (Ignored("bad_media"),)
        return self._ordered(Audio(data, number_in(media, "timestamp")), number_in(media, "chunk"))

    def _ordered(self, audio: Audio, chunk: int | None) -> Sequence[Step]:
        if chunk is None:
            return (audio,)
        ordered = self._order.push(chunk, audio)
        return (Ignored("late_media"),) if ordered is None else ordered
