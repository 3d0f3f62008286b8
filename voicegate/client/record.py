"""What a call told its client, and whether the conversation has come to rest. PURE."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from voicegate.kernel.events import (
    Event,
    EventBase,
    Latency,
    ReplyFinished,
    ReplyInterrupted,
    ReplyStarted,
    SessionEnded,
    SpeechStarted,
    SpeechStopped,
    TurnCommitted,
)
from voicegate.kernel.ids import TurnId

_E = TypeVar("_E", bound=EventBase)


@dataclass(frozen=True, slots=True)
class Received:
    """An event and when it came."""

    position: int
    """On the call's tape, in samples."""
    event: Event


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the conversation as it was held."""

    speaker: str
    """``caller`` or ``agent``."""
    text: str
    interrupted: bool = False


class CallRecord:
    """Events in order. Positions in it (:attr:`mark`) let a reader ask what came since."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.speaking = False
        """The gateway hears the caller."""
        self.unanswered_speech = False
        """It heard the caller since the last turn was committed: a turn may follow, or it was only a cough."""
        self.replying = False
        self.ended: str | None = None
        self._owed: TurnId | None = None

    @property
    def mark(self) -> int:
        return len(self.received)

    @property
    def last_seq(self) -> int:
        return self.received[-1].event.seq if self.received else 0

    @property
    def owed(self) -> bool:
        """A turn is committed and its reply is not over."""
        return self._owed is not None

    @property
    def at_rest(self) -> bool:
        """Nobody speaks and nobody is owed an answer, as far as it was told."""
        return not (self.speaking or self.replying or self.owed)

    def add(self, position: int, event: Event) -> None:
        self.received.append(Received(position, event))
        match event:
            case SpeechStarted():
                self.speaking = self.unanswered_speech = True
            case SpeechStopped():
                self.speaking = False
            case TurnCommitted(turn=turn):
                self.unanswered_speech = False
                self._owed = turn
            case ReplyStarted():
                self.replying = True
            case ReplyFinished(turn=turn) | ReplyInterrupted(turn=turn):
                self.replying = False
                self._owed = None if turn == self._owed else self._owed
            case SessionEnded(reason=reason):
                self.ended = reason
            case _:
                pass

    def of(self, kind: type[_E], since: int = 0, until: int | None = None) -> list[_E]:
        """The events of a kind since a mark, up to another one."""
        return [each.event for each in self.received[since:until] if isinstance(each.event, kind)]

    def positions(self, kind: type[EventBase], since: int = 0) -> list[int]:
        """Where on the tape the events of a kind came."""
        return [each.position for each in self.received[since:] if isinstance(each.event, kind)]

    def latencies(self, since: int = 0) -> list[Latency]:
        return self.of(Latency, since)

    def transcript(self, since: int = 0) -> list[Line]:
        """Both sides, the agent's as far as it was heard."""
        return list(self._lines(since))

    def _lines(self, since: int) -> Iterator[Line]:
        for each in self.received[since:]:
            match each.event:
                case TurnCommitted(text=text):
                    yield Line("caller", text)
                case ReplyFinished(text=text) if text:
                    yield Line("agent", text)
                case ReplyInterrupted(heard=heard) if heard:
                    yield Line("agent", heard, interrupted=True)
                case _:
                    pass
