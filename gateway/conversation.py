"""What a transport needs of a call, and nothing else. The composition root supplies the implementation.

A transport attaches to a call, pushes the caller's frames, takes the agent's audio on its own clock and passes the
call's events on. Losing a socket is not the end of a call: the transport detaches, the call waits for its resume
window, and another transport may attach to it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from voicegate.kernel.audio import Frame, Samples
from voicegate.kernel.events import Event
from voicegate.kernel.ids import SessionId, TurnId


@dataclass(frozen=True, slots=True)
class Resume:
    """A client's claim to a call it was in before."""

    secret: str
    """The ``resumeSecret`` that the call's first ``session.welcome`` gave to this client."""
    last_seq: int
    """The last event the client has seen; all later ones are delivered again."""


@dataclass(frozen=True, slots=True)
class CallRequest:
    """What a transport asks for."""

    session_id: SessionId
    transport: str
    """``voice-simple``, ``voice-full``, ``whip``, ``twilio`` …"""
    output_rate_hz: int
    """Rate of the frames and clips that the transport takes: 8000, 16000, 24000 or 48000."""
    clips: bool = False
    """The transport takes whole phrases (:meth:`Conversation.take_clip`) and cannot stop one it has sent."""
    confirms: bool = False
    """The transport takes frames ahead of the ear: they count as heard when :meth:`Conversation.frames_played` says so,
    and those it dropped are given again."""
    greeting: bool = True
    """The agent speaks first."""
    agent: str = ""
    """Name of the starting agent; empty: the default."""
    input_format: str = ""
    output_format: str = ""
    context: Mapping[str, str] = field(default_factory=dict)
    resume: Resume | None = None


@dataclass(frozen=True, slots=True)
class Clip:
    """A phrase's whole audio."""

    turn: TurnId
    text: str
    samples: Samples
    """Mono int16 at the request's ``output_rate_hz``."""


class Conversation(Protocol):
    """One call, as a transport sees it. All methods are plain calls on the event loop that return at once."""

    @property
    def session_id(self) -> SessionId: ...

    @property
    def resume_secret(self) -> str: ...

    @property
    def resumed(self) -> bool:
        """This attachment continued an earlier conversation."""
        ...

    def push_audio(self, frame: Frame) -> None:
        """One 20 ms frame of the caller: 16 kHz mono int16. Bursts are fine."""
        ...

    def end_utterance(self) -> None:
        """No more audio will come for this utterance (a whole file was uploaded): answer now."""
        ...

    def type_text(self, text: str) -> None:
        """The caller typed instead of speaking."""
        ...

    def press_key(self, digit: str) -> None:
        """One DTMF digit: ``0-9 * # A-D``."""
        ...

    def interrupt(self) -> None:
        """The caller stopped the agent's reply by a button."""
        ...

    def take_frames(self, most: int = 1) -> Samples | None:
        """The next frames of 20 ms to be made audible at ``output_rate_hz``, in one array: at most ``most``, and none
        behind the one in which a phrase ends. None for silence. Taking counts as heard, unless the request said
        ``confirms``."""
        ...

    def on_audio(self, ready: Callable[[], None]) -> None:
        """Call ``ready`` when there is audio to take after silence, so that it need not wait for the next tick.

        It is called from the middle of the conversation's own work: take nothing before it has returned.
        """
        ...

    def on_stop(self, stop: Callable[[], None]) -> None:
        """For transports that confirm. Call ``stop`` just before the agent's speech stops (barge-in, a pause, a stop):
        within it the transport says by :meth:`frames_played` what was heard by now, and drops what it has taken."""
        ...

    def frames_played(self, samples: int) -> None:
        """For transports that confirm: ``samples`` more of the frames taken so far have become audible."""
        ...

    @property
    def at_phrase_end(self) -> bool:
        """What was taken last ends with the frame that holds the end of a phrase."""
        ...

    def take_clip(self) -> Clip | None:
        """The next whole phrase once its audio is complete, or None. For transports that asked for ``clips``."""
        ...

    def clip_played(self, samples: int) -> None:
        """``samples`` more of the clips taken so far have become audible by the transport's clock."""
        ...

    def subscribe(self, deliver: Callable[[Event], None], after_seq: int | None = None) -> Sequence[Event]:
        """Deliver every later event, in order, once stored. Returns stored events with ``seq > after_seq`` first."""
        ...

    def detach(self) -> None:
        """The socket is gone without a goodbye. The call waits for its resume window, then ends."""
        ...

    def hang_up(self, reason: str) -> None:
        """The call is over."""
        ...

    async def ended(self) -> str:
        """Return the reason once the call is over and all its events are delivered."""
        ...


class Calls(Protocol):
    """The running calls of this process."""

    async def attach(self, request: CallRequest) -> Conversation:
        """Begin a call, or continue one (``request.resume``, or a session id that is live and lost its socket).

        Raises:
            RefusedCall: with ``code`` one of ``busy`` (the process is full), ``unauthorized`` (wrong resume secret),
                ``in_use`` (the session id belongs to a call), ``gone`` (nothing to resume), ``draining``.
            StateUnavailable: the state store is away; new calls cannot be taken.
        """
        ...

    def holds(self, session_id: str) -> bool:
        """A call with this id runs here."""
        ...

    def at_boundary(self, session_id: str) -> bool:
        """Nobody speaks in that call and nobody is about to answer; also true when no such call runs here."""
        ...

    def tell(self, session_id: str, code: str, message: str) -> None:
        """A ``notice`` to one call, where it runs here."""
        ...

    @property
    def live(self) -> int:
        """Calls running now."""
        ...
