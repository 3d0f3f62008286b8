"""FreeSWITCH with mod_audio_stream (open build), the carrier's side. PURE. Source: amigniter/mod_audio_stream, README.

The call's audio is binary L16, little-endian, 20 ms a message, after the metadata as text. What the gateway wants
played comes as JSON with a clip in base64; clips are played one after the other, and nothing can stop them.
"""

from collections import Counter

from audiocodecs.resample import resample_whole
from audiocodecs.wav import decode_wav
from voicegate.client.carriers.leg import CallFacts, Message, Tick, codec, from_base64, from_json, inner, to_json
from voicegate.client.carriers.playout import PlayoutModel
from voicegate.kernel.audio import PIPELINE_RATE_HZ, Frame, Samples
from voicegate.kernel.errors import AudioError


class FreeswitchLeg:
    """One stream (``mono``) at 8 or 16 kHz. ``metadata`` False: ``uuid_audio_stream`` was given none."""

    def __init__(self, facts: CallFacts, *, rate_hz: int = 8_000, metadata: bool = True) -> None:
        self.rate_hz = rate_hz
        self.over = ""
        self.dropped: Counter[str] = Counter()
        self.playout = PlayoutModel(rate_hz)
        self._facts = facts
        self._codec = codec("pcm16", rate_hz)
        self._metadata = metadata

    def begin(self) -> list[Message]:
        facts = self._facts
        if not self._metadata:
            return []
        known = {"uuid": facts.call_id, "caller_id_number": facts.caller, "destination_number": facts.called}
        return [to_json(**known, **facts.parameters)]

    def tick(self, frame: Frame) -> Tick:
        return Tick(self.playout.take().frame, [self._codec.encode(frame)])

    def receive(self, message: Message) -> list[Message]:
        if isinstance(message, bytes):
            self.dropped["binary message"] += 1
            return []
        fields = from_json(message) or {}
        samples = self._clip(inner(fields, "data")) if fields.get("type") == "streamAudio" else None
        if samples is None:
            self.dropped["message not understood"] += 1
        else:
            self.playout.put(samples)
        return []

    def _clip(self, data: object) -> Samples | None:
        fields = data if isinstance(data, dict) else {}
        audio, rate_hz = from_base64(fields.get("audioData")), fields.get("sampleRate")
        if audio is None:
            return None
        match fields.get("audioDataType"):
            case "raw" if isinstance(rate_hz, int) and rate_hz > 0:
                return resample_whole(self._codec.decode(audio), rate_hz, self.rate_hz)
            case "wav":
                try:
                    return resample_whole(decode_wav(audio), PIPELINE_RATE_HZ, self.rate_hz)
                except AudioError:
                    return None
            case _:
                return None

    def press(self, digit: str) -> list[Message]:
        return []  # the open build passes no keys

    def hang_up(self) -> list[Message]:
        self.over = "the caller hung up"
        return []
