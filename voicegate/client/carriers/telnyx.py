"""Telnyx media streaming in mode ``rtp``, the carrier's side. PURE. Source: Telnyx, "Stream call media over WebSocket".

The order of its media messages is not guaranteed: every now and then two of them change places here. What comes back
may be 20 ms to 30 s a message; shorter ones are dropped. ``clear`` returns every mark that waits.
"""

from collections import Counter

from audiocodecs.resample import resample_whole
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

ENCODINGS = {"PCMU": "pcmu", "PCMA": "pcma", "L16": "l16"}
_LONGEST_S = 30
SWAP_EVERY = 25
"""Media messages from one exchange of places to the next: our choice, twice a second."""


class TelnyxLeg:
    """One stream. ``encoding`` and ``rate_hz`` are the call leg's, ``back`` and ``back_hz`` what was declared for the
    way back.
    """

    def __init__(
        self,
        facts: CallFacts,
        *,
        encoding: str = "PCMU",
        rate_hz: int = 8_000,
        back: str = "",
        back_hz: int = 0,
        swap_every: int = SWAP_EVERY,
    ) -> None:
        self.rate_hz = rate_hz
        self.over = ""
        self.dropped: Counter[str] = Counter()
        self.playout = PlayoutModel(rate_hz)
        self._facts = facts
        self._encoding = encoding
        self._codec = codec(ENCODINGS[encoding], rate_hz)
        self._back = codec(ENCODINGS[back or encoding], back_hz or rate_hz)
        self._swap_every = swap_every
        self._held: Message | None = None
        self._sequence = self._chunks = 0

    def begin(self) -> list[Message]:
        facts = self._facts
        start = {
            "user_id": facts.account,
            "call_control_id": facts.call_id,
            "call_session_id": f"session-{facts.call_id}",
            "from": facts.caller,
            "to": facts.called,
            "tags": [],
            "client_state": "",
            "custom_parameters": dict(facts.parameters),
            "media_format": {"encoding": self._encoding, "sample_rate": self.rate_hz, "channels": 1},
        }
        return [to_json(event="connected", version="1.0.0"), self._message("start", start=start)]

    def tick(self, frame: Frame) -> Tick:
        played = self.playout.take()
        marks: list[Message] = [self._mark(name) for name in played.marks]
        self._chunks += 1
        media = {
            "track": "inbound",
            "chunk": str(self._chunks),
            "timestamp": str((self._chunks - 1) * FRAME_MS),
            "payload": to_base64(self._codec.encode(frame)),
        }
        return Tick(played.frame, marks + self._in_this_order(self._message("media", media=media)))

    def _in_this_order(self, message: Message) -> list[Message]:
        if self._held is not None:
            held, self._held = self._held, None
            return [message, held]
        if self._swap_every and self._chunks % self._swap_every == 0:
            self._held = message
            return []
        return [message]

    def receive(self, message: Message) -> list[Message]:
        if isinstance(message, bytes):
            self.dropped["binary message"] += 1
            return []
        fields = from_json(message) or {}
        match fields.get("event"):
            case "media" if (payload := from_base64(inner(fields, "media").get("payload"))) is not None:
                return self._play(payload)
            case "mark" if isinstance(name := inner(fields, "mark").get("name"), str):
                self.playout.mark(name)
            case "clear":
                return [self._mark(each) for each in self.playout.clear()]
            case _:
                return self._refused("message not understood", 100002)
        return []

    def _play(self, payload: bytes) -> list[Message]:
        if not self._back.frame_bytes <= len(payload) <= _LONGEST_S * 50 * self._back.frame_bytes:
            return self._refused("media below 20 ms or above 30 s", 100003)
        self.playout.put(resample_whole(self._back.decode(payload), self._back.rate_hz, self.rate_hz))
        return []

    def _refused(self, why: str, code: int) -> list[Message]:
        self.dropped[why] += 1
        error = {"code": code, "title": "invalid message", "detail": why}
        return [to_json(event="error", stream_id=self._facts.stream_id, payload=error)]

    def press(self, digit: str) -> list[Message]:
        return [self._message("dtmf", occurred_at="2026-11-01T12:00:00Z", dtmf={"digit": digit})]

    def hang_up(self) -> list[Message]:
        self.over = "the caller hung up"
        return [self._message("stop", stop={"user_id": self._facts.account, "call_control_id": self._facts.call_id})]

    def _mark(self, name: str) -> str:
        return self._message("mark", mark={"name": name})

    def _message(self, event: str, **fields: object) -> str:
        self._sequence += 1
        return to_json(event=event, sequence_number=str(self._sequence), stream_id=self._facts.stream_id, **fields)
