"""FreeSWITCH ``mod_audio_stream`` as a state machine without I/O. PURE.

Source: amigniter/mod_audio_stream, README. The caller's audio comes as binary linear PCM, little-endian; before it,
where ``uuid_audio_stream`` was given metadata, one text message. Nothing else tells which call it is, nor its rate.

The open build plays what comes as JSON: a clip in base64, written to a file and played one after the other. Nothing
stops a clip, so clips are short: what a caller who breaks in still hears is what has left for FreeSWITCH.
"""

import base64
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec
import numpy as np

from audiocodecs.wav import encode_wav
from gateway.phone.fields import MAX_FIELD_CHARACTERS, number_in, parameters_in, read_object, text_in
from gateway.phone.messages import (
    Audio,
    Began,
    Ignored,
    PhoneCall,
    PhoneFormat,
    ProtocolViolation,
    Send,
    SendBinary,
    SendText,
    Step,
)
from gateway.phone.protocol import Traits

NAME: Final = "freeswitch"
RATES_HZ: Final = (8_000, 16_000)
_OWN: Final = frozenset(
    {"uuid", "call_id", "caller", "called", "caller_id_number", "destination_number", "rate", "token"}
)


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """How ``uuid_audio_stream`` is called, and which build it is; nothing on the wire tells it."""

    rate_hz: int = 8_000
    """Its ``sampling-rate``, where the metadata or the address do not tell (``rate``)."""
    playback: Literal["raw", "wav", "binary"] = "raw"
    """``raw`` and ``wav``: clips of the open build. ``binary``: linear PCM in binary messages (builds from 1.0.3)."""
    clip_ms: int = 200
    """Length of a clip, a multiple of 20 ms."""


@dataclass(frozen=True, slots=True)
class Address:
    """What the address of the connection told."""

    call_id: str = ""
    """What the call is called where nothing else says it; empty: then it is refused."""
    parameters: Mapping[str, str] = field(default_factory=dict)


class StreamProtocol:
    """One connection (see :class:`gateway.phone.protocol.PhoneProtocol`)."""

    def __init__(self, options: StreamOptions, address: Address) -> None:
        self._options = options
        self._address = address
        self._format: PhoneFormat | None = None
        self.traits = Traits(
            buffers=True,
            has_clear=False,
            has_marks=False,
            packet_ms=40 if options.playback == "binary" else options.clip_ms,
        )

    def connected(self) -> Sequence[Send]:
        return []

    def receive_text(self, text: str) -> Sequence[Step]:
        if self._format is not None:
            return [Ignored("text")]
        fields: dict[str, object] = {"metadata": text[:MAX_FIELD_CHARACTERS]}
        with contextlib.suppress(ProtocolViolation):  # metadata may be any text
            fields = read_object(text)
        return [self._begin(fields)]

    def receive_binary(self, data: bytes) -> Sequence[Step]:
        began = [self._begin({})] if self._format is None else []
        return [*began, Audio(data) if data else Ignored("empty_audio")]

    def accepted(self) -> Sequence[Send]:
        return []

    def refused(self, code: str) -> Sequence[Send]:
        return []

    def play(self, packet: bytes) -> Sequence[Send]:
        if self._options.playback == "binary":
            return [SendBinary(packet)]
        assert self._format is not None, "the driver plays after Began"
        rate = self._format.rate_hz
        audio = packet if self._options.playback == "raw" else encode_wav(np.frombuffer(packet, "<i2"), rate)
        data = {
            "audioDataType": self._options.playback,
            "sampleRate": rate,
            "audioData": base64.b64encode(audio).decode(),
        }
        return [SendText(msgspec.json.encode({"type": "streamAudio", "data": data}))]

    def mark(self, name: str) -> Sequence[Send]:
        return []

    def clear(self) -> Sequence[Send]:
        return []

    def press_keys(self, digits: str) -> Sequence[Send]:
        return []

    def hang_up(self, reason: str) -> Sequence[Send]:
        return []

    def _begin(self, metadata: dict[str, object]) -> Began:
        """The metadata counts before the address."""
        fields = {**self._address.parameters, **metadata}
        rate = number_in(fields, "rate") or self._options.rate_hz
        if rate not in RATES_HZ:
            raise ProtocolViolation("bad_format", f"rate is one of {RATES_HZ}")
        call_id = text_in(fields, "uuid", "call_id") or self._address.call_id
        if not call_id:
            raise ProtocolViolation("missing_field", "metadata or address must have the call's uuid")
        self._format = PhoneFormat("pcm16", rate)
        call = PhoneCall(
            NAME,
            call_id,
            caller=text_in(fields, "caller", "caller_id_number"),
            called=text_in(fields, "called", "destination_number"),
            parameters=parameters_in(fields, without=_OWN),
            token=text_in(metadata, "token"),
        )
        return Began(call, self._format, self._format)
