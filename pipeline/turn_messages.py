"""What the turn machine is told (events, past tense) and what it orders (commands, imperative). PURE.

Every event carries ``at``: seconds on the driver's monotonic clock. Where a voiced sample is meant, the driver has
already turned the sample's position into that clock.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from pipeline.ports import Transcription
from voicegate.kernel.ids import ReplyId, TurnId

ReplyKind: TypeAlias = Literal["answer", "greeting", "idle", "resume", "apology", "unheard", "say", "farewell"]
TurnSource: TypeAlias = Literal["speech", "text", "dtmf"]


# --- events -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CallBegan:
    at: float
    opening: Literal["greeting", "resume"] | None
    """What the agent says first, or None to let the caller speak first."""


@dataclass(frozen=True, slots=True)
class SpeechBegan:
    at: float
    since: float
    """When the first voiced sample arrived."""
    left_s: float | None = None
    """Audio left of the reply that is being heard, if all of it is known; else None."""


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    at: float
    until: float
    """When the last voiced sample arrived."""
    voiced_s: float
    """Length of the stretch that ended, by its samples."""


@dataclass(frozen=True, slots=True)
class InterimHeard:
    at: float
    text: str


@dataclass(frozen=True, slots=True)
class MarkAnswered:
    at: float
    mark: int
    transcription: Transcription


@dataclass(frozen=True, slots=True)
class TranscriptionFailed:
    at: float


@dataclass(frozen=True, slots=True)
class UtteranceFlushed:
    """No more audio will come for this utterance; voice activity has seen all of it."""

    at: float


@dataclass(frozen=True, slots=True)
class TextGiven:
    """The caller typed, or pressed keys."""

    at: float
    text: str
    source: TurnSource


@dataclass(frozen=True, slots=True)
class ReplyStopped:
    """The caller pressed a button to stop the reply."""

    at: float


@dataclass(frozen=True, slots=True)
class SayOrdered:
    """An operator makes the agent say something, never over the caller's words."""

    at: float
    text: str
    interrupt: bool = True
    """In place of the agent's reply; else once it is over."""


@dataclass(frozen=True, slots=True)
class LastWordsOrdered:
    """The call ends with these words of the agent, whatever is being said."""

    at: float
    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class CallerMuted:
    """The caller is not heard from now on, so that nobody may ask why they are silent."""

    at: float


@dataclass(frozen=True, slots=True)
class CallerUnmuted:
    at: float


@dataclass(frozen=True, slots=True)
class ReplyAudible:
    """The reply has audio to play (again): held, or about to be taken."""

    at: float
    reply: ReplyId
    filler: bool = False
    """It is only a filler that will be heard; the reply itself is still to come."""


@dataclass(frozen=True, slots=True)
class ReplyStarved:
    """The reply is not complete, yet there is nothing left to play."""

    at: float
    reply: ReplyId


@dataclass(frozen=True, slots=True)
class ReplyDrained:
    """All of the reply was heard."""

    at: float
    reply: ReplyId


@dataclass(frozen=True, slots=True)
class ReplyFailed:
    """The agent or the voice failed; what was synthesised before still plays."""

    at: float
    reply: ReplyId


@dataclass(frozen=True, slots=True)
class EndOrdered:
    """The agent ends the call once its words are out."""

    at: float
    reply: ReplyId
    reason: str


@dataclass(frozen=True, slots=True)
class HungUp:
    at: float
    reason: str


@dataclass(frozen=True, slots=True)
class TimePassed:
    at: float


TurnEvent: TypeAlias = (
    CallBegan
    | SpeechBegan
    | SpeechEnded
    | InterimHeard
    | MarkAnswered
    | TranscriptionFailed
    | UtteranceFlushed
    | TextGiven
    | ReplyStopped
    | SayOrdered
    | LastWordsOrdered
    | CallerMuted
    | CallerUnmuted
    | ReplyAudible
    | ReplyStarved
    | ReplyDrained
    | ReplyFailed
    | EndOrdered
    | HungUp
    | TimePassed
)


# --- commands ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MarkTranscript:
    """Ask speech to text for settled text of the utterance so far."""

    mark: int


@dataclass(frozen=True, slots=True)
class CommitTranscript:
    mark: int


@dataclass(frozen=True, slots=True)
class DiscardTranscript:
    """What speech to text got since the last commit was not meant for us."""


@dataclass(frozen=True, slots=True)
class StartReply:
    """Let agent and voice work on a reply. Inaudible and without side effects until :class:`ReleaseReply`."""

    reply: ReplyId
    kind: ReplyKind
    text: str = ""
    """What the caller said, or what is to be said (kind ``say``)."""
    confidence: float | None = None
    doubtful: bool = False
    """The caller may well go on, and then the work on it was in vain."""


@dataclass(frozen=True, slots=True)
class CommitTurn:
    """The caller's turn is over and enters the history."""

    turn: TurnId
    text: str
    source: TurnSource
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class ReleaseReply:
    """The reply may be heard and its tools may act."""

    reply: ReplyId


@dataclass(frozen=True, slots=True)
class RevokeReply:
    """Forget a reply that was never released: it leaves no trace."""

    reply: ReplyId


@dataclass(frozen=True, slots=True)
class CancelReply:
    """Stop a released reply; the history keeps what was heard."""

    reply: ReplyId
    reason: str


@dataclass(frozen=True, slots=True)
class PausePlayout:
    """Stop the released reply where it is. Ends by :class:`ResumePlayout` or with the reply."""


@dataclass(frozen=True, slots=True)
class ResumePlayout:
    """Go on with the reply that was paused."""


@dataclass(frozen=True, slots=True)
class SayFiller:
    """Say within the reply that work is going on. ``count`` rises from 0 within the reply."""

    reply: ReplyId
    count: int


@dataclass(frozen=True, slots=True)
class Notify:
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class EndCall:
    reason: str


TurnCommand: TypeAlias = (
    MarkTranscript
    | CommitTranscript
    | DiscardTranscript
    | StartReply
    | CommitTurn
    | ReleaseReply
    | RevokeReply
    | CancelReply
    | PausePlayout
    | ResumePlayout
    | SayFiller
    | Notify
    | EndCall
)
