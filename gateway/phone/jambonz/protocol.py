"""jambonz ``listen``, and FreeSWITCH's ``mod_audio_fork`` that it runs on, as a state machine without I/O. PURE.

Source: docs.jambonz.org, "listen"; drachtio-freeswitch-modules, ``mod_audio_fork``. The first message is text and says
which call it is; then the caller's audio comes as binary linear PCM, little-endian. Ours goes back the same way, or,
where the verb did not ask for streaming, as clips in JSON.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from gateway.phone.channels import FirstChannel
from gateway.phone.fields import direction_in, key_in, number_in, object_in, parameters_in, read_object, text_in
from gateway.phone.messages import (
    Audio,
    Began,
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

SUBPROTOCOLS: Final = ("audio.jambonz.org", "audio.drachtio.org")
RATES_HZ: Final = (8_000, 16_000, 24_000, 48_000)
_OWN: Final = frozenset(
    {"callSid", "call_id", "uuid", "accountSid", "from", "to", "direction", "sampleRate", "mixType"}
    | {"caller", "called", "caller_id_number", "destination_number", "metadata", "token"}
)


@dataclass(frozen=True, slots=True)
class ListenOptions:
    """How one installation is set up; nothing on the wire tells it."""

    name: str = "jambonz"
    """Name of the carrier."""
    streaming: bool = True
    """The verb has ``bidirectionalAudio.streaming``: we answer in binary. False: in clips (``playAudio``)."""
    output_rate_hz: int = 0
    """``bidirectionalAudio.sampleRate``; 0: that of the caller's audio."""
    input_rate_hz: int = 8_000
    """Rate of the caller's audio where the first message does not tell (``mod_audio_fork``)."""
    marks: bool = True
    """It returns marks."""
    packet_ms: int = 40
    """Audio in one binary message (our choice: half the messages of 20 ms)."""
    clip_ms: int = 200
    """Length of a clip where there is no streaming. At most ten wait there."""


class ListenProtocol:
    """One connection (see :class:`gateway.phone.protocol.PhoneProtocol`)."""

    def __init__(self, options: ListenOptions, call_id: str = "") -> None:
        """``call_id``: what the call is called where the first message does not say it; empty: then it is refused."""
        self._options = options
        self._call_id = call_id
        self._spoken: PhoneFormat | None = None
        self._channels = 1
        self._first = FirstChannel()
        self._clips = 0
        self.traits = Traits(
            buffers=True,
            has_clear=True,
            has_marks=options.marks,
            packet_ms=options.packet_ms if options.streaming else options.clip_ms,
            farewell_s=2.0,
        )

    def connected(self) -> Sequence[Send]:
        return []

    def receive_text(self, text: str) -> Sequence[Step]:
        fields = read_object(text)
        if self._spoken is None:
            return self._start(fields)
        match fields.get("type") or fields.get("event"):
            case "dtmf":
                key = key_in(fields, "dtmf", "digit")
                return [KeyPressed(key) if key else Ignored("bad_key")]
            case "mark":
                return [self._mark_came(object_in(fields, "data"))]
            case "playDone":
                return [Ignored("play_done")]
            case _:
                return [Ignored("unknown_event")]

    def receive_binary(self, data: bytes) -> Sequence[Step]:
        if self._spoken is None:
            raise ProtocolViolation("wrong_order", "audio came before the call's attributes")
        heard = self._first.push(data) if self._channels == 2 else data
        return [Audio(heard) if heard else Ignored("empty_audio")]

    def accepted(self) -> Sequence[Send]:
        return []

    def refused(self, code: str) -> Sequence[Send]:
        return self.hang_up(code)

    def play(self, packet: bytes) -> Sequence[Send]:
        if self._options.streaming:
            return [SendBinary(packet)]
        assert self._spoken is not None, "the driver plays after Began"
        self._clips += 1
        clip = {
            "audioContent": base64.b64encode(packet).decode(),
            "audioContentType": "raw",
            "sampleRate": self._spoken.rate_hz,
            "id": f"c{self._clips}",
            "queuePlay": True,
        }
        return [_say("playAudio", clip)]

    def mark(self, name: str) -> Sequence[Send]:
        return [_say("mark", {"name": name})] if self._options.marks else []

    def clear(self) -> Sequence[Send]:
        """The audio first: marks that are cleared before it would come back although it is played."""
        return [_say("killAudio"), _say("clearMarks")] if self._options.marks else [_say("killAudio")]

    def press_keys(self, digits: str) -> Sequence[Send]:
        return []

    def hang_up(self, reason: str) -> Sequence[Send]:
        return [_say("disconnect")]

    def _start(self, fields: dict[str, object]) -> Sequence[Step]:
        options = self._options
        rate = number_in(fields, "sampleRate") or options.input_rate_hz
        output = options.output_rate_hz or rate
        mix = text_in(fields, "mixType") or "mono"
        if rate not in RATES_HZ or output not in RATES_HZ:
            raise ProtocolViolation("bad_format", f"sampleRate is one of {RATES_HZ}")
        if mix not in ("mono", "stereo"):
            raise ProtocolViolation("bad_format", "mixType must be mono: the agent would hear itself")
        call_id = text_in(fields, "callSid", "call_id", "uuid") or self._call_id
        if not call_id:
            raise ProtocolViolation("missing_field", "the first message must have callSid, call_id or uuid")
        self._channels = 2 if mix == "stereo" else 1
        self._spoken = PhoneFormat("pcm16", output)
        call = PhoneCall(
            options.name,
            call_id,
            stream_id=text_in(fields, "callId"),
            account_id=text_in(fields, "accountSid"),
            caller=text_in(fields, "from", "caller", "caller_id_number"),
            called=text_in(fields, "to", "called", "destination_number"),
            direction=direction_in(fields, "direction"),
            parameters=self._parameters(fields),
            token=text_in(object_in(fields, "metadata"), "token") or text_in(fields, "token"),
        )
        return [Began(call, PhoneFormat("pcm16", rate), self._spoken)]

    def _parameters(self, fields: dict[str, object]) -> dict[str, str]:
        """The verb's ``metadata`` before the call's own attributes."""
        return parameters_in({**object_in(fields, "metadata"), **fields}, without=_OWN)

    def _mark_came(self, data: dict[str, object]) -> Step:
        name = text_in(data, "name")
        if data.get("event") == "playout" and name:
            return MarkReturned(name)
        return Ignored("mark_cleared")


def _say(kind: str, data: dict[str, object] | None = None) -> SendText:
    return SendText(msgspec.json.encode({"type": kind} if data is None else {"type": kind, "data": data}))
