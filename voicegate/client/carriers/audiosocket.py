"""Asterisk AudioSocket (TCP), Asterisk's side. PURE. Source: Asterisk documentation, "AudioSocket".

A message is a type, a length of two bytes in network order, and that many bytes. Asterisk plays what arrives when it
arrives; what comes too early piles up in the phone's jitter buffer, and what does not fit there is lost.
"""

import uuid
from collections import Counter

from voicegate.client.carriers.leg import CallFacts, Message, Tick, codec
from voicegate.client.carriers.playout import PlayoutModel
from voicegate.kernel.audio import Frame

HANG_UP, IDENTITY, KEY, AUDIO, ERROR = 0x00, 0x01, 0x03, 0x10, 0xFF
JITTER_MS = 200.0
"""What a phone's jitter buffer takes: our choice."""
TOO_EARLY = "audio that came too early for the jitter buffer"
_HEAD_BYTES = 3


def message(kind: int, payload: bytes = b"") -> bytes:
    """One message of the protocol."""
    return bytes([kind]) + len(payload).to_bytes(2, "big") + payload


class AudioSocketLeg:
    """One channel. The call id is a UUID that the gateway was told before."""

    rate_hz = 8_000

    def __init__(self, facts: CallFacts) -> None:
        self.over = ""
        self.dropped: Counter[str] = Counter()
        self.playout = PlayoutModel(self.rate_hz, limit_ms=JITTER_MS)
        self._facts = facts
        self._codec = codec("pcm16")
        self._rest = b""

    def begin(self) -> list[Message]:
        return [message(IDENTITY, uuid.UUID(self._facts.call_id).bytes)]

    def tick(self, frame: Frame) -> Tick:
        return Tick(self.playout.take().frame, [message(AUDIO, self._codec.encode(frame))])

    def receive(self, data: Message) -> list[Message]:
        self._rest += data.encode() if isinstance(data, str) else data
        while len(self._rest) >= _HEAD_BYTES and not self.over:
            size = int.from_bytes(self._rest[1:_HEAD_BYTES], "big")
            if len(self._rest) < _HEAD_BYTES + size:
                break
            kind, payload = self._rest[0], self._rest[_HEAD_BYTES : _HEAD_BYTES + size]
            self._rest = self._rest[_HEAD_BYTES + size :]
            self._take(kind, payload)
        return []

    def _take(self, kind: int, payload: bytes) -> None:
        match kind:
            case 0x10 if payload:
                if self.playout.put(self._codec.decode(payload)):
                    self.dropped[TOO_EARLY] += 1
            case 0x00:
                self.over = "the gateway hung up"
            case _:
                self.over = f"the gateway sent a message of type 0x{kind:02x}, which Asterisk does not take"

    def press(self, digit: str) -> list[Message]:
        return [message(KEY, digit.encode())]

    def hang_up(self) -> list[Message]:
        self.over = "the caller hung up"
        return [message(HANG_UP)]
