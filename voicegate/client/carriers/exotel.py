"""Exotel Voicebot applet, the carrier's side. PURE. Source: Exotel, "Streaming" (Stream and Voicebot applets).

Exotel sends about 100 ms a message and takes 3.2 KB to 100 KB, a multiple of 320 bytes; other media is dropped.
"""

from collections import Counter

import numpy as np

from voicegate.client.carriers.leg import (
    CallFacts,
    Message,
    Tick,
    codec,
    from_base64,
    from_json,
    inner,
    to_base64,
    to_json,
)
from voicegate.client.carriers.playout import PlayoutModel
from voicegate.kernel.audio import FRAME_MS, Frame

_FRAMES = 5
LEAST_BYTES, MOST_BYTES, UNIT_BYTES = 3_200, 100_000, 320


class ExotelLeg:
    """One stream of PCM16, little-endian, at 8, 16 or 24 kHz."""

    def __init__(self, facts: CallFacts, *, rate_hz: int = 8_000) -> None:
        self.rate_hz = rate_hz
        self.over = ""
        self.dropped: Counter[str] = Counter()
        self.playout = PlayoutModel(rate_hz)
        self._facts = facts
        self._codec = codec("pcm16", rate_hz)
        self._frames: list[Frame] = []
        self._sequence = self._chunks = self._ticks = 0

    def begin(self) -> list[Message]:
        facts = self._facts
        start = {
            "stream_sid": facts.stream_id,
            "call_sid": facts.call_id,
            "account_sid": facts.account,
            "from": facts.caller,
            "to": facts.called,
            "custom_parameters": dict(facts.parameters),
            "media_format": {"encoding": "base64", "sample_rate": str(self.rate_hz), "bit_rate": "128kbps"},
        }
        return [to_json(event="connected"), self._message("start", start=start)]

    def tick(self, frame: Frame) -> Tick:
        played = self.playout.take()
        messages: list[Message] = [self._mark(name) for name in played.marks]
        self._frames.append(frame)
        self._ticks += 1
        if len(self._frames) == _FRAMES:
            messages.append(self._media())
        return Tick(played.frame, messages)

    def _media(self) -> Message:
        self._chunks += 1
        data = self._codec.encode(np.concatenate(self._frames))
        at = (self._ticks - len(self._frames)) * FRAME_MS
        self._frames.clear()
        return self._message("media", media={"chunk": self._chunks, "timestamp": str(at), "payload": to_base64(data)})

    def receive(self, message: Message) -> list[Message]:
        if isinstance(message, bytes):
            self.dropped["binary message"] += 1
            return []
        fields = from_json(message) or {}
        if fields.get("stream_sid") == self._facts.stream_id:
            match fields.get("event"):
                case "media" if (payload := from_base64(inner(fields, "media").get("payload"))) is not None:
                    self._play(payload)
                    return []
                case "mark" if isinstance(name := inner(fields, "mark").get("name"), str):
                    self.playout.mark(name)
                    return []
                case "clear":
                    return [self._mark(each) for each in self.playout.clear()]
        self.dropped["message not understood"] += 1
        return []

    def _play(self, payload: bytes) -> None:
        if not LEAST_BYTES <= len(payload) <= MOST_BYTES or len(payload) % UNIT_BYTES:
            self.dropped[f"media that is not {LEAST_BYTES} to {MOST_BYTES} bytes and a multiple of {UNIT_BYTES}"] += 1
            return
        self.playout.put(self._codec.decode(payload))

    def press(self, digit: str) -> list[Message]:
        return [self._message("dtmf", dtmf={"digit": digit, "duration": "250"})]

    def hang_up(self) -> list[Message]:
        self.over = "the caller hung up"
        facts = self._facts
        stop = {"call_sid": facts.call_id, "account_sid": facts.account, "reason": "callended"}
        return [self._message("stop", stop=stop)]

    def _mark(self, name: str) -> str:
        return self._message("mark", mark={"name": name})

    def _message(self, event: str, **fields: object) -> str:
        self._sequence += 1
        return to_json(event=event, sequence_number=self._sequence, stream_sid=self._facts.stream_id, **fields)
