"""Twilio Media Streams (bidirectional), the carrier's side. PURE. Source: Twilio, "Media Streams – WebSocket messages".

Twilio buffers what it is sent and plays it in order. It returns a mark when all before it has played, and every mark
that waits when it is told to clear. What it does not understand it drops with a warning; the call goes on.
"""

from collections import Counter

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
from voicegate.client.carriers.silence import SilenceGate
from voicegate.kernel.audio import FRAME_MS, Frame

NOT_TEXT, NOT_UNDERSTOOD = "31950 binary message", "31924 message not understood"


class TwilioLeg:
    """One stream of a call. ``silence_after_ms``: stop sending once the caller has been silent for that long."""

    rate_hz = 8_000

    def __init__(self, facts: CallFacts, *, silence_after_ms: int | None = None) -> None:
        self.over = ""
        self.dropped: Counter[str] = Counter()
        self.playout = PlayoutModel(self.rate_hz)
        self._facts = facts
        self._codec = codec("pcmu")
        self._gate = SilenceGate(silence_after_ms)
        self._sequence = self._chunks = self._ticks = 0

    def begin(self) -> list[Message]:
        facts = self._facts
        start = {
            "accountSid": facts.account,
            "streamSid": facts.stream_id,
            "callSid": facts.call_id,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": dict(facts.parameters),
        }
        return [to_json(event="connected", protocol="Call", version="1.0.0"), self._message("start", start=start)]

    def tick(self, frame: Frame) -> Tick:
        played = self.playout.take()
        messages: list[Message] = [self._mark(name) for name in played.marks]
        if self._gate.passes(frame):
            self._chunks += 1
            media = {
                "track": "inbound",
                "chunk": str(self._chunks),
                "timestamp": str(self._ticks * FRAME_MS),
                "payload": to_base64(self._codec.encode(frame)),
            }
            messages.append(self._message("media", media=media))
        self._ticks += 1
        return Tick(played.frame, messages)

    def receive(self, message: Message) -> list[Message]:
        if isinstance(message, bytes):
            self.dropped[NOT_TEXT] += 1
            return []
        fields = from_json(message) or {}
        if fields.get("streamSid") == self._facts.stream_id:
            match fields.get("event"):
                case "media" if (payload := from_base64(inner(fields, "media").get("payload"))) is not None:
                    self.playout.put(self._codec.decode(payload))
                    return []
                case "mark" if isinstance(name := inner(fields, "mark").get("name"), str):
                    self.playout.mark(name)
                    return []
                case "clear":
                    return [self._mark(each) for each in self.playout.clear()]
        self.dropped[NOT_UNDERSTOOD] += 1
        return []

    def press(self, digit: str) -> list[Message]:
        return [self._message("dtmf", dtmf={"track": "inbound_track", "digit": digit})]

    def hang_up(self) -> list[Message]:
        self.over = "the caller hung up"
        return [self._message("stop", stop={"accountSid": self._facts.account, "callSid": self._facts.call_id})]

    def _mark(self, name: str) -> str:
        return self._message("mark", mark={"name": name})

    def _message(self, event: str, **fields: object) -> str:
        self._sequence += 1
        return to_json(event=event, sequenceNumber=str(self._sequence), streamSid=self._facts.stream_id, **fields)
