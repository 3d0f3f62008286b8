"""What happened in a session: one closed union, the spine of everything.

Clients, the Redis stream, the database, analytics and replay all read these events. On the wire an event is a JSON
object in camelCase whose ``type`` is the tag below; ``seq`` rises by exactly one within a session, over resumes too.
Adding an event or an optional field is compatible, renaming or removing one is not.
"""

from datetime import datetime
from typing import Literal, TypeAlias

import msgspec

from voicegate.kernel.ids import SessionId, TurnId


class EventBase(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Fields of every event."""

    session_id: SessionId
    seq: int
    """1 for the session's first event, then +1 each."""
    at: datetime
    """Wall-clock time, UTC."""
    turn: TurnId | None = None
    """The turn it belongs to, where it belongs to one."""


class SessionStarted(EventBase, frozen=True, tag="session.started"):
    agent: str
    resumed: bool = False
    transport: str = ""
    input_format: str = ""
    output_format: str = ""


class SpeechStarted(EventBase, frozen=True, tag="speech.started"):
    audio_ms: int
    """Position in the caller's audio of the first voiced sample, counted from the start of the connection."""


class SpeechStopped(EventBase, frozen=True, tag="speech.stopped"):
    audio_ms: int
    """Position in the caller's audio of the last voiced sample."""


class TranscriptInterim(EventBase, frozen=True, tag="transcript.interim"):
    text: str
    """The whole hypothesis of the running turn; it replaces the one before."""


class TranscriptFinal(EventBase, frozen=True, tag="transcript.final"):
    text: str
    confidence: float | None = None
    """Mean log-probability of the tokens where the engine gives one (0 is certain)."""


class TurnCommitted(EventBase, frozen=True, tag="turn.committed"):
    text: str
    source: Literal["speech", "text", "dtmf"] = "speech"


class ReplyStarted(EventBase, frozen=True, tag="reply.started"):
    kind: str = "answer"
    """answer, greeting, idle, filler, apology or say."""
    agent: str = ""


class ReplyText(EventBase, frozen=True, tag="reply.text"):
    text: str
    """One phrase as it goes to speech; phrases joined by a space are the reply."""


class ReplyHeard(EventBase, frozen=True, tag="reply.heard"):
    text: str
    """All that the caller has heard of this reply so far."""


class ReplyInterrupted(EventBase, frozen=True, tag="reply.interrupted"):
    heard: str
    cut: str
    """What was generated and not heard."""
    reason: str = "barge_in"


class ReplyFinished(EventBase, frozen=True, tag="reply.finished"):
    text: str


class ToolStarted(EventBase, frozen=True, tag="tool.started"):
    call_id: str
    name: str
    arguments: str
    """JSON text as the model gave it."""


class ToolFinished(EventBase, frozen=True, tag="tool.finished"):
    call_id: str
    name: str
    ok: bool
    result: str
    duration_ms: float


class Handoff(EventBase, frozen=True, tag="handoff"):
    from_agent: str
    to_agent: str
    agent_id: str = ""
    """Of a published agent that took the call over from another one, by an order."""


class Usage(EventBase, frozen=True, tag="usage"):
    stage: Literal["stt", "agent", "tts", "session"]
    provider: str
    quantity: float
    unit: Literal["seconds", "characters", "input_tokens", "output_tokens"]


class Latency(EventBase, frozen=True, tag="latency"):
    """One turn's voice-to-voice time: last voiced sample that arrived to first voiced sample that left, and its parts.

    The parts follow one another and add up; a stage that ran in the shadow of an earlier one counts 0.
    """

    voice_to_voice_ms: float
    endpointing_ms: float
    stt_ms: float
    agent_ms: float
    tts_ms: float
    playout_ms: float


class Notice(EventBase, frozen=True, tag="notice"):
    code: str
    """A degradation or its end, for example ``redis_away`` / ``redis_back`` / ``audio_discarded``."""
    message: str


class Failure(EventBase, frozen=True, tag="error"):
    code: str
    message: str
    stage: str = ""
    retryable: bool = False


class SessionEnded(EventBase, frozen=True, tag="session.ended"):
    reason: str


Event: TypeAlias = (
    SessionStarted
    | SpeechStarted
    | SpeechStopped
    | TranscriptInterim
    | TranscriptFinal
    | TurnCommitted
    | ReplyStarted
    | ReplyText
    | ReplyHeard
    | ReplyInterrupted
    | ReplyFinished
    | ToolStarted
    | ToolFinished
    | Handoff
    | Usage
    | Latency
    | Notice
    | Failure
    | SessionEnded
)

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)


def encode(event: Event) -> bytes:
    """The event as UTF-8 JSON."""
    return _encoder.encode(event)


def decode(data: bytes | str) -> Event:
    """The inverse of :func:`encode`.

    Raises:
        msgspec.ValidationError: not an event of the union above.
        msgspec.DecodeError: not JSON.
    """
    return _decoder.decode(data)
