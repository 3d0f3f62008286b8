"""jambonz ``listen`` with bidirectional streaming, the carrier's side. PURE. Source: docs.jambonz.org, "listen".

The first message is text: the call's attributes. Then audio flows as binary L16, little-endian, both ways. Marks come
back as ``playout``, or as ``cleared`` when the audio before them was thrown away.
"""

from collections import Counter

from voicegate.client.carriers.leg import CallFacts, Message, Tick, codec, from_base64, from_json, inner, to_json
from voicegate.client.carriers.playout import PlayoutModel
from voicegate.kernel.audio import Frame

SUBPROTOCOL = "audio.drachtio.org"
_MOST_QUEUED = 10


class JambonzLeg:
    """One stream. ``streaming``: the verb asked for binary audio both ways; else the gateway has ``playAudio`` only.

    ``hasty_marks``: some versions return a mark as soon as it comes.
    """

    def __init__(
        self, facts: CallFacts, *, rate_hz: int = 8_000, streaming: bool = True, hasty_marks: bool = False
    ) -> None:
        self.rate_hz = rate_hz
        self.over = ""
        self.dropped: Counter[str] = Counter()
        self.playout = PlayoutModel(rate_hz)
        self._facts = facts
        self._codec = codec("pcm16", rate_hz)
        self._streaming = streaming
        self._hasty_marks = hasty_marks
        self._clips: list[str] = []

    def begin(self) -> list[Message]:
        facts = self._facts
        return [
            to_json(
                callSid=facts.call_id,
                accountSid=facts.account,
                applicationSid="simulated-application",
                direction="inbound",
                callStatus="in-progress",
                **{"from": facts.caller, "to": facts.called},
                callId=facts.stream_id,
                sampleRate=self.rate_hz,
                mixType="mono",
                metadata=dict(facts.parameters),
            )
        ]

    def tick(self, frame: Frame) -> Tick:
        played = self.playout.take()
        return Tick(played.frame, [*map(self._due, played.marks), self._codec.encode(frame)])

    def _due(self, name: str) -> Message:
        if name.startswith(_CLIP):
            self._clips.remove(name)
            return to_json(type="playDone", data={"id": name.removeprefix(_CLIP)})
        return _mark(name.removeprefix(_NAMED), "playout")

    def receive(self, message: Message) -> list[Message]:
        if isinstance(message, bytes):
            if self._streaming:
                self.playout.put(self._codec.decode(message))
            else:
                self.dropped["binary message without streaming"] += 1
            return []
        fields = from_json(message) or {}
        data = inner(fields, "data")
        match fields.get("type"):
            case "playAudio":
                self._clip(data)
            case "killAudio":
                return self._cleared()
            case "mark" if isinstance(name := data.get("name"), str):
                if self._hasty_marks:
                    return [_mark(name, "playout")]
                self.playout.mark(_NAMED + name)
            case "clearMarks":
                return []  # marks come back with the audio they wait for, or with killAudio
            case "disconnect":
                self.over = "the gateway hung up"
            case _:
                self.dropped["message not understood"] += 1
        return []

    def _clip(self, data: object) -> None:
        fields = data if isinstance(data, dict) else {}
        audio = from_base64(fields.get("audioContent"))
        raw = fields.get("audioContentType") == "raw" and fields.get("sampleRate") == self.rate_hz
        if audio is None or not raw or len(self._clips) >= _MOST_QUEUED:
            self.dropped["clip that is not raw at the leg's rate, or one too many"] += 1
            return
        self.playout.put(self._codec.decode(audio))
        self._clips.append(f"{_CLIP}{fields.get('id', '')}")
        self.playout.mark(self._clips[-1])

    def _cleared(self) -> list[Message]:
        waiting = self.playout.clear()
        self._clips.clear()
        return [_mark(name.removeprefix(_NAMED), "cleared") for name in waiting if name.startswith(_NAMED)]

    def press(self, digit: str) -> list[Message]:
        return [to_json(event="dtmf", dtmf=digit, duration="250")]

    def hang_up(self) -> list[Message]:
        self.over = "the caller hung up"
        return []


_CLIP, _NAMED = "clip:", "mark:"


def _mark(name: str, event: str) -> str:
    return to_json(type="mark", data={"name": name, "event": event})
