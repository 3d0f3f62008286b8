"""Plivo audio streams, the carrier's side. PURE. Source: Plivo, "Audio Streaming" (XML and events).

``playedStream`` comes only for what was really played: ``clearAudio`` drops the checkpoints that wait. The end of a
call is the end of the socket.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

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

SUBPROTOCOL = "audio.plivo.com"
_CODECS = {"audio/x-mulaw": "pcmu", "audio/x-l16": "pcm16"}


class PlivoLeg:
    """One stream in ``content_type`` (``audio/x-mulaw`` or ``audio/x-l16``)."""

    def __init__(self, facts: CallFacts, *, content_type: str = "audio/x-mulaw", rate_hz: int = 8_000) -> None:
        self.rate_hz = rate_hz
        self.over = ""
        self.dropped: Counter[str] = Counter()
        self.playout = PlayoutModel(rate_hz)
        self.sent_digits = ""
        """Keys that the gateway pressed."""
        self._facts = facts
        self._type = content_type
        self._codec = codec(_CODECS[content_type], rate_hz)
        self._sequence = self._chunks = 0

    def begin(self) -> list[Message]:
        facts = self._facts
        start = {
            "callId": facts.call_id,
            "streamId": facts.stream_id,
            "accountId": facts.account,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": self._type, "sampleRate": self.rate_hz},
        }
        return [to_json(event="start", sequenceNumber=0, start=start, extra_headers=self._headers)]

    def tick(self, frame: Frame) -> Tick:
        played = self.playout.take()
        messages: list[Message] = [self._message("playedStream", name=name) for name in played.marks]
        self._chunks += 1
        media = {
            "track": "inbound",
            "timestamp": str(self._chunks * FRAME_MS),
            "chunk": self._chunks,
            "payload": to_base64(self._codec.encode(frame)),
        }
        messages.append(self._message("media", media=media, extra_headers=self._headers))
        return Tick(played.frame, messages)

    def receive(self, message: Message) -> list[Message]:
        if isinstance(message, bytes):
            self.dropped["binary message"] += 1
            return []
        fields = from_json(message) or {}
        match fields.get("event"):
            case "playAudio" if (payload := self._payload(inner(fields, "media"))) is not None:
                self.playout.put(self._codec.decode(payload))
            case "checkpoint" if self._ours(fields) and isinstance(name := fields.get("name"), str):
                self.playout.mark(name)
            case "clearAudio" if self._ours(fields):
                self.playout.clear()
                return [self._message("clearedAudio")]
            case "sendDTMF" if isinstance(digits := fields.get("dtmf"), str):
                self.sent_digits += digits
            case _:
                self.dropped["message not understood"] += 1
        return []

    def _payload(self, media: Mapping[str, Any]) -> bytes | None:
        same = media.get("contentType") == self._type and str(media.get("sampleRate")) == str(self.rate_hz)
        return from_base64(media.get("payload")) if same else None

    def _ours(self, fields: dict[str, object]) -> bool:
        return fields.get("streamId") == self._facts.stream_id

    def press(self, digit: str) -> list[Message]:
        at = str(self._chunks * FRAME_MS)
        return [self._message("dtmf", dtmf={"track": "inbound", "digit": digit, "timestamp": at})]

    def hang_up(self) -> list[Message]:
        self.over = "the caller hung up"
        return []

    @property
    def _headers(self) -> str:
        return ";".join(f"{name}={value}" for name, value in self._facts.parameters.items())

    def _message(self, event: str, **fields: object) -> str:
        self._sequence += 1
        return to_json(event=event, sequenceNumber=self._sequence, streamId=self._facts.stream_id, **fields)
