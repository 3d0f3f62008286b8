"""Genesys AudioHook, version "2", Audio Connector flavour, the carrier's side. PURE.

Source: Genesys, "AudioHook protocol reference" and the reference implementation audiohook-reference-implementation.

Every text message has a ``seq`` that rises by exactly one; a gap is an error that ends the session. Media flows once
the server has answered ``open``. Its audio is binary, at most 64000 bytes a message. An ``event`` with a ``barge_in``
entity drops what waits to be played.
"""

from collections import Counter
from typing import Any

import numpy as np

from voicegate.client.carriers.leg import CallFacts, Message, Tick, codec, from_json, inner, to_json
from voicegate.client.carriers.playout import PlayoutModel
from voicegate.kernel.audio import FRAME_MS, Frame

OPENED_S, PONG_S, FIRST_PING_S, CLOSED_S = 5.0, 5.0, 1.0, 10.0
MOST_BYTES = 64_000
MOST_CHARACTERS = 65_535
_CHANNELS: tuple[tuple[str, ...], ...] = (("external",), ("internal",), ("external", "internal"))
_QUIET_ANSWERS = ("updated", "reconnect")


class GenesysLeg:
    """One session. ``packet_frames`` is how many frames a message of the caller's audio holds."""

    rate_hz = 8_000

    def __init__(self, facts: CallFacts, *, packet_frames: int = 1) -> None:
        self.over = ""
        self.dropped: Counter[str] = Counter()
        self.playout = PlayoutModel(self.rate_hz)
        self.outputs: dict[str, Any] = {}
        """The ``outputVariables`` that the server gave at the end."""
        self._facts = facts
        self._codec = codec("pcmu")
        self._packet_frames = packet_frames
        self._frames: list[Frame] = []
        self._channels: tuple[str, ...] | None = None
        self._paused = self._playing = self._closing = False
        self._seq = self._server_seq = self._sent = self._ticks = 0
        self._ping_due_s = FIRST_PING_S
        self._unanswered_ping = False
        self._deadline_s: float | None = OPENED_S

    # --- what Genesys says ---

    def begin(self) -> list[Message]:
        facts = self._facts
        media = [{"type": "audio", "format": "PCMU", "channels": each, "rate": 8000} for each in _CHANNELS]
        return [
            self._message(
                "open",
                organizationId=facts.account,
                conversationId=facts.call_id,
                participant={
                    "id": f"participant-{facts.call_id}",
                    "ani": facts.caller,
                    "aniName": "",
                    "dnis": facts.called,
                },
                media=media,
                language="en-US",
                inputVariables=dict(facts.parameters),
            )
        ]

    def tick(self, frame: Frame) -> Tick:
        self._ticks += 1
        if self._channels is None or self._closing:
            return Tick(None, self._waiting())
        messages: list[Message] = self._media(frame)
        began, played = not self.playout.idle, self.playout.take()
        if began and not self._playing:
            self._playing = True
            messages.append(self._message("playback_started"))
        if self._playing and self.playout.idle and played.frame is None:
            self._playing = False
            messages.append(self._message("playback_completed"))
        return Tick(played.frame, messages + self._ping() + self._waiting())

    def _media(self, frame: Frame) -> list[Message]:
        if self._paused:
            return []
        self._sent += frame.size
        self._frames.append(frame)
        if len(self._frames) < self._packet_frames:
            return []
        caller = np.concatenate(self._frames)
        self._frames.clear()
        channels = self._channels or ()
        rows = [caller if name == "external" else np.zeros_like(caller) for name in channels]
        return [self._codec.encode(np.stack(rows, axis=1).reshape(-1))]

    def _ping(self) -> list[Message]:
        if self._ticks * FRAME_MS < self._ping_due_s * 1000:
            return []
        if self._unanswered_ping:
            return self._error(408, "no pong came before the next ping")
        self._ping_due_s += PONG_S
        self._unanswered_ping = True
        return [self._message("ping")]

    def _waiting(self) -> list[Message]:
        if self._deadline_s is None or self._ticks * FRAME_MS <= self._deadline_s * 1000:
            return []
        self._deadline_s = None
        if self._closing:
            self.over = self.over or f"the gateway did not answer close within {CLOSED_S:g} s"
            return []
        return self._error(408, f"the gateway did not answer open within {OPENED_S:g} s")

    def press(self, digit: str) -> list[Message]:
        return [self._message("dtmf", digit=digit)]

    def hang_up(self) -> list[Message]:
        return self._close("end")

    def _close(self, reason: str) -> list[Message]:
        if self._closing:
            return []
        self._closing = True
        self._deadline_s = self._ticks * FRAME_MS / 1000 + CLOSED_S
        return [self._message("close", reason=reason)]

    def _error(self, code: int, message: str) -> list[Message]:
        self.dropped[message] += 1
        self.over = message
        return [self._message("error", code=code, message=message)]

    # --- what the server says ---

    def receive(self, message: Message) -> list[Message]:
        if isinstance(message, bytes):
            return self._play(message)
        if len(message) > MOST_CHARACTERS:
            return self._error(413, "the gateway sent a text message that is too long")
        fields = from_json(message)
        if fields is None or fields.get("version") != "2" or fields.get("id") != self._facts.stream_id:
            return self._error(400, "the gateway sent no AudioHook message of this session")
        if fields.get("seq") != self._server_seq + 1 or not 0 < _number(fields.get("clientseq")) <= self._seq:
            return self._error(400, "the gateway's sequence numbers are wrong")
        self._server_seq += 1
        return self._take(str(fields.get("type")), fields)

    def _take(self, kind: str, fields: dict[str, Any]) -> list[Message]:
        parameters = inner(fields, "parameters")
        match kind:
            case "opened" if self._channels is None:
                return self._opened(parameters.get("media"))
            case "pong":
                self._unanswered_ping = False
            case "event":
                return self._event(parameters.get("entities"))
            case "pause":
                self._paused = True
                return [self._message("paused")]
            case "resume":
                self._paused = False
                return [self._message("resumed", start=self._position, discarded="PT0S")]
            case "disconnect":
                self.outputs = dict(inner(parameters, "outputVariables"))
                return self._close("end")
            case "closed" if self._closing:
                self.outputs |= dict(inner(parameters, "outputVariables"))
                self.over = "the call is closed"
            case _ if kind not in _QUIET_ANSWERS:
                return self._error(405, f"the gateway sent {kind!r} at the wrong time")
        return []

    def _opened(self, media: object) -> list[Message]:
        first = media[0] if isinstance(media, list) and len(media) == 1 and isinstance(media[0], dict) else {}
        channels = tuple(first.get("channels") or ())
        if first.get("format") != "PCMU" or channels not in _CHANNELS:
            return self._error(400, "the gateway did not choose exactly one of the media offered")
        self._channels, self._deadline_s = channels, None
        return []

    def _event(self, entities: object) -> list[Message]:
        found = entities if isinstance(entities, list) else []
        if any(isinstance(each, dict) and each.get("type") == "barge_in" for each in found):
            self.playout.clear()
        return []

    def _play(self, packet: bytes) -> list[Message]:
        if self._channels is None:
            return self._error(400, "the gateway sent audio before it answered open")
        if len(packet) > MOST_BYTES:
            return self._error(413, f"the gateway sent more than {MOST_BYTES} bytes of audio in a message")
        self.playout.put(self._codec.decode(packet))
        return []

    @property
    def _position(self) -> str:
        return f"PT{self._sent / self.rate_hz:.10g}S"

    def _message(self, kind: str, **parameters: object) -> str:
        self._seq += 1
        return to_json(
            version="2",
            id=self._facts.stream_id,
            type=kind,
            seq=self._seq,
            serverseq=self._server_seq,
            position=self._position,
            parameters=parameters,
        )


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
