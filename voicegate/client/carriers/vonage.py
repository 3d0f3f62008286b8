"""Vonage Voice WebSocket, the carrier's side. PURE. Source: Vonage, "WebSockets" (Voice API concepts).

Audio is binary L16, little-endian, in messages of exactly 20 ms both ways; others are dropped. The buffer holds 3072
messages. A ``notify`` comes back when playout reaches it.
"""

from collections import Counter

from voicegate.client.carriers.leg import CallFacts, Message, Tick, codec, from_json, to_json
from voicegate.client.carriers.playout import PlayoutModel, messages_ms
from voicegate.kernel.audio import Frame

BUFFER_MESSAGES = 3072
_KEY_MS = 260


class VonageLeg:
    """One stream at 8, 16 or 24 kHz."""

    def __init__(self, facts: CallFacts, *, rate_hz: int = 16_000) -> None:
        self.rate_hz = rate_hz
        self.over = ""
        self.dropped: Counter[str] = Counter()
        self.playout = PlayoutModel(rate_hz, limit_ms=messages_ms(BUFFER_MESSAGES))
        self._facts = facts
        self._codec = codec("pcm16", rate_hz)

    def begin(self) -> list[Message]:
        fields = {"content-type": f"audio/l16;rate={self.rate_hz}", **self._facts.parameters}
        return [to_json(event="websocket:connected", **fields)]

    def tick(self, frame: Frame) -> Tick:
        played = self.playout.take()
        notices: list[Message] = [f'{{"event":"websocket:notify","payload":{payload}}}' for payload in played.marks]
        return Tick(played.frame, [*notices, self._codec.encode(frame)])

    def receive(self, message: Message) -> list[Message]:
        if isinstance(message, bytes):
            self._play(message)
            return []
        fields = from_json(message) or {}
        match fields.get("action"):
            case "clear":
                self.playout.clear()
                return [to_json(event="websocket:cleared")]
            case "notify" if isinstance(payload := fields.get("payload"), dict):
                self.playout.mark(to_json(**payload))
            case _:
                self.dropped["message not understood"] += 1
        return []

    def _play(self, packet: bytes) -> None:
        if len(packet) != self._codec.frame_bytes:
            self.dropped[f"audio that is not {self._codec.frame_bytes} bytes"] += 1
        elif self.playout.put(self._codec.decode(packet)):
            self.dropped[f"more than {BUFFER_MESSAGES} messages buffered"] += 1

    def press(self, digit: str) -> list[Message]:
        return [to_json(event="websocket:dtmf", digit=digit, duration=_KEY_MS)]

    def hang_up(self) -> list[Message]:
        self.over = "the caller hung up"
        return [to_json(event="websocket:disconnected")]
