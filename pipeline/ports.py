"""The pipeline's ports: what a conversation needs from engines and from the world, cut by capability.

One to three methods each, no base classes. An adapter (one provider a file, in ``pipeline.adapters``) satisfies a port
by shape; ``tests/contract`` holds one suite a port, run against every adapter. Shared behaviour is a wrapper that
holds another, never a parent.

Rules for every adapter:

* Methods that are not ``async`` return at once: no I/O, no lock, no inference on the event loop.
* Closing an async iterator early (``aclose``) stops the provider's work; nothing arrives afterwards.
* Only :class:`~voicegate.kernel.errors.ProviderError` (or a subclass) leaves an adapter; whatever an SDK raised is
  its ``__cause__``.
* Cancellation passes through untouched.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from voicegate.kernel.audio import Frame, Samples
from voicegate.kernel.errors import ProviderError
from voicegate.kernel.events import Event

# --- voice activity ---------------------------------------------------------------------------------------------


class VoiceDetector(Protocol):
    """One session's stream of speech probabilities."""

    def push(self, frame: Frame) -> None:
        """Take one 20 ms frame, 16 kHz mono int16. Probabilities come later, by the callback given at open."""
        ...

    def close(self) -> None:
        """Forget the stream. No callback runs after this returns."""
        ...


OnProbability: TypeAlias = Callable[[float, int], None]
"""``(probability, end_sample)``: speech probability 0..1 of a window, and the index one past the window's last sample,
counted at 16 kHz from the first pushed sample. Called on the event loop, in order, once a window."""


class VoiceActivity(Protocol):
    """Makes detectors. One a process: an implementation may batch the windows of all its detectors."""

    def open(self, on_probability: OnProbability) -> VoiceDetector: ...


# --- speech to text ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Transcription:
    """What an engine made of a piece of audio."""

    text: str
    """Words with the engine's own punctuation and case; empty if it heard none."""
    confidence: float | None = None
    """Mean token log-probability, 0 is certain; None where the engine gives none."""
    end_probability: float | None = None
    """How sure the engine is that the sentence ends here, 0..1; None where it cannot tell."""
    tokens: tuple[int, ...] = ()
    """The text in the engine's own tokens, if it can use them as a draft; nobody else should read them."""


class EngineBusy(ProviderError):
    """An engine will not spend work on an interim now. Ask again when there is more audio."""


class SegmentTranscriber(Protocol):
    """An engine that turns one whole piece of speech into text."""

    async def transcribe(
        self, samples: Samples, *, draft: Transcription | None = None, interim: bool = False
    ) -> Transcription:
        """Transcribe 16 kHz mono int16 of 0.1 to 15 s.

        ``draft`` is this engine's own answer for a piece with the same first sample, shorter or longer. It may make the
        answer come sooner and changes nothing in it; an engine may ignore it. ``interim``: the speech goes on, the
        answer is only to be shown. An engine may refuse it, or give it up, for the sake of others.

        May be called again before an earlier call has answered; concurrent calls are bounded inside.

        Raises:
            EngineBusy: an interim was refused or given up.
            ProviderError: the engine or vendor failed.
        """
        ...


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A transcript stream's opinion of everything pushed since the last :meth:`TranscriptStream.commit`."""

    transcription: Transcription
    mark: int | None = None
    """The mark it answers (settled text up to there), or None for an interim."""


class TranscriptStream(Protocol):
    """One session's speech to text. Audio in by plain calls, hypotheses out by iteration.

    The driver pushes only audio that voice activity let through (plus some pre-roll). ``mark`` asks for settled text
    of all that was pushed before it; a later push and mark extend the same turn, so each answer covers the whole
    turn. ``commit`` ends the turn at a mark and forgets its audio; ``discard`` forgets everything not committed.
    """

    def push(self, frame: Frame) -> None:
        """Take one 20 ms frame, 16 kHz mono int16. Never blocks; the queue behind it is bounded."""
        ...

    def mark(self, mark: int) -> None:
        """Ask for a :class:`Hypothesis` with this mark, soon. Marks rise; each is answered once unless superseded."""
        ...

    def commit(self, mark: int) -> None:
        """The turn ended at ``mark``; audio pushed after that mark begins the next turn."""
        ...

    def discard(self) -> None:
        """Forget all audio that is not committed; marks still unanswered stay unanswered."""
        ...

    def __aiter__(self) -> AsyncIterator[Hypothesis]:
        """Hypotheses in order.

        Raises:
            ProviderError: the engine failed for this stretch of audio; iterating again goes on.
        """
        ...

    async def aclose(self) -> None: ...


class SpeechToText(Protocol):
    """Makes transcript streams. One a process."""

    @property
    def provider(self) -> str: ...

    def open(self, *, language: str = "en") -> TranscriptStream: ...


# --- the call itself --------------------------------------------------------------------------------------------


class CallControl(Protocol):
    """What an agent may do with the phone call it is in.

    Raises:
        VoicegateError: it was not done; the message says why, and the call is as it was.
    """

    @property
    def on_a_phone(self) -> bool:
        """It is a phone call, now."""
        ...

    async def transfer(self, number: str) -> None:
        """Have the carrier connect the caller with ``number`` (digits, with or without a plus). The conversation ends
        with it."""
        ...

    async def press_keys(self, digits: str) -> None:
        """Telephone keys into the call: 1 to 64 of ``0-9 * # A-D``."""
        ...


# --- agent ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Message:
    """One entry of a conversation's history, as the agent gets it: only what was really said and heard."""

    role: Literal["user", "assistant", "tool_call", "tool_result"]
    text: str
    """What was said; for a tool call its arguments as JSON text, for a tool result the result."""
    name: str = ""
    """Tool name, for the two tool roles."""
    call_id: str = ""
    agent: str = ""
    """Name of the agent that spoke, for assistant messages."""
    interrupted: bool = False
    """The caller cut this reply short; ``text`` is what was heard."""


@dataclass(frozen=True, slots=True)
class AgentRequest:
    """What the agent is asked to answer."""

    session_id: str
    history: Sequence[Message]
    """Everything before this turn, oldest first."""
    text: str
    """What the user said, or an empty string where ``kind`` says it all."""
    kind: Literal["answer", "greeting", "idle", "resume"] = "answer"
    agent: str = ""
    """The agent that holds the conversation (after handoffs); empty: the starting agent."""
    confidence: float | None = None
    """Mean token log-probability of ``text``, where known: below about -0.5 the agent should ask again."""
    committed: Callable[[], Awaitable[None]] | None = None
    """Await this before anything with a side effect: it returns when the turn is committed. A revoked speculation is
    cancelled while waiting. None: already committed."""
    context: Mapping[str, str] = field(default_factory=dict)
    """Facts of the call: caller's number, custom parameters, locale, time zone."""
    control: CallControl | None = None
    """None: nothing can be done with the call."""
    notes: Sequence[str] = ()
    """What an operator wants the agent to know; nobody said it, and it is not to be read out."""


@dataclass(frozen=True, slots=True)
class TextDelta:
    text: str


@dataclass(frozen=True, slots=True)
class ToolCalled:
    call_id: str
    name: str
    arguments: str
    """JSON text."""


@dataclass(frozen=True, slots=True)
class ToolReturned:
    call_id: str
    name: str
    ok: bool
    result: str


@dataclass(frozen=True, slots=True)
class HandedOff:
    from_agent: str
    to_agent: str


@dataclass(frozen=True, slots=True)
class TokensUsed:
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class CallEnded:
    """The agent ends the call once its last words are out."""

    reason: str


AgentOutput: TypeAlias = TextDelta | ToolCalled | ToolReturned | HandedOff | TokensUsed | CallEnded


class Agent(Protocol):
    """Answers turns. Holds no state of a conversation: all of it comes with the request."""

    @property
    def provider(self) -> str: ...

    @property
    def starting_agent(self) -> str:
        """Name of the agent that takes a call."""
        ...

    def reply(self, request: AgentRequest) -> AsyncGenerator[AgentOutput, None]:
        """Stream the answer. Deltas joined give the reply's text; tools run inside, between deltas.

        Raises:
            ProviderError: the model failed, before or in the middle of the answer.
        """
        ...


@runtime_checkable
class SeveralAgents(Protocol):
    """An agent port with more than one agent behind it."""

    @property
    def names(self) -> tuple[str, ...]:
        """All of them, the starting one first."""
        ...


# --- text to speech ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WordTime:
    """When a word is audible, in seconds from the phrase's first sample."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class SpeechChunk:
    """A piece of a phrase's audio: mono int16 at the engine's ``sample_rate_hz``, any length."""

    samples: Samples
    words: tuple[WordTime, ...] = ()
    """Words that became known with this chunk, where the provider gives times."""


class TextToSpeech(Protocol):
    """Speaks phrases. One a process."""

    @property
    def provider(self) -> str: ...

    @property
    def sample_rate_hz(self) -> int:
        """Rate of every chunk."""
        ...

    def stream(self, phrase: str, *, voice: str = "", previous_text: str = "") -> AsyncGenerator[SpeechChunk, None]:
        """Speak one phrase (at most about 300 characters).

        Raises:
            ProviderError: the engine or vendor failed.
        """
        ...


# --- the world --------------------------------------------------------------------------------------------------


class EventSink(Protocol):
    """Where a session's events go. The pipeline knows nothing of what lies behind."""

    def emit(self, event: Event) -> None:
        """Take one event. Never blocks and never raises; order is kept."""
        ...

    async def stored(self) -> None:
        """Return when everything emitted so far is stored, or at once while the store is away."""
        ...
