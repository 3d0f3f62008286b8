"""What an operator orders, row by row: words in due time, last words, a caller who is not to be heard."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from pipeline.ports import Transcription
from pipeline.turn import TurnMachine
from pipeline.turn_messages import (
    CallBegan,
    CallerMuted,
    CallerUnmuted,
    CancelReply,
    CommitTranscript,
    CommitTurn,
    DiscardTranscript,
    EndCall,
    HungUp,
    LastWordsOrdered,
    MarkAnswered,
    MarkTranscript,
    ReleaseReply,
    ReplyAudible,
    ReplyDrained,
    ReplyFailed,
    ReplyStopped,
    RevokeReply,
    SayFiller,
    SayOrdered,
    SpeechBegan,
    SpeechEnded,
    StartReply,
    TextGiven,
    TimePassed,
    TurnCommand,
)
from voicegate.kernel.ids import ReplyId, TurnId

Steps = list[tuple[Any, ...]]
Rows = dict[str, Steps]

R1, R3 = ReplyId(TurnId(1), 1), ReplyId(TurnId(2), 2)
WHOLE = Transcription("Book a table, please.", -0.1)
THINK = StartReply(R1, "answer", WHOLE.text, WHOLE.confidence)
COMMIT: list[TurnCommand] = [CommitTranscript(1), CommitTurn(TurnId(1), WHOLE.text, "speech", WHOLE.confidence)]

LISTENING: tuple[Any, ...] = (CallBegan(0.0, None), [], 12.0)
SPOKE: Steps = [LISTENING, (SpeechBegan(1.1, 1.0), []), (SpeechEnded(2.13, 2.0, 1.0), [MarkTranscript(1)])]
SPECULATING: Steps = [*SPOKE, (MarkAnswered(2.2, 1, WHOLE), [THINK], 2.25)]
COMMITTED: Steps = [*SPECULATING, (TimePassed(2.25), [*COMMIT, ReleaseReply(R1)], 3.45)]

SAY = StartReply(R1, "say", "We close at nine.")
PATIENT: Rows = {
    "while nobody speaks": [LISTENING, (SayOrdered(1.0, SAY.text, interrupt=False), [SAY, ReleaseReply(R1)])],
    "once the reply is over": [
        *COMMITTED,
        (SayOrdered(3.0, SAY.text, interrupt=False), []),
        (ReplyDrained(4.0, R1), [StartReply(R3, "say", SAY.text), ReleaseReply(R3)]),
    ],
}

BYE = "The office closes now. Goodbye."
ENDED: Rows = {
    "while nobody speaks": [
        LISTENING,
        (LastWordsOrdered(1.0, BYE, "operator"), [StartReply(R1, "say", BYE), ReleaseReply(R1)]),
        (ReplyAudible(1.1, R1), []),
        (ReplyDrained(3.0, R1), [EndCall("operator")], None),
    ],
    "in place of a reply": [
        *COMMITTED,
        (
            LastWordsOrdered(3.0, BYE, "operator"),
            [CancelReply(R1, "replaced"), StartReply(R3, "say", BYE), ReleaseReply(R3)],
        ),
    ],
    "over the caller, of whom nothing was understood": [
        LISTENING,
        (SpeechBegan(1.1, 1.0), []),
        (
            LastWordsOrdered(1.5, BYE, "operator"),
            [DiscardTranscript(), StartReply(R1, "say", BYE), ReleaseReply(R1)],
        ),
    ],
    "what was understood of the caller stays said": [
        *SPECULATING,
        (
            LastWordsOrdered(2.22, BYE, "operator"),
            [RevokeReply(R1), *COMMIT, StartReply(R3, "say", BYE), ReleaseReply(R3)],
        ),
    ],
    "nothing but the end follows": [
        LISTENING,
        (SpeechBegan(1.1, 1.0), []),
        (SayOrdered(1.4, "later"), []),
        (
            LastWordsOrdered(1.5, BYE, "operator"),
            [DiscardTranscript(), StartReply(R1, "say", BYE), ReleaseReply(R1)],
        ),
        (ReplyAudible(1.6, R1), []),
        (SpeechEnded(2.0, 1.9, 0.9), []),
        (SpeechBegan(2.2, 2.1), []),
        (TextGiven(2.3, "wait", "text"), []),
        (SayOrdered(2.4, "more"), []),
        (ReplyStopped(2.5), []),
        (LastWordsOrdered(2.6, "other words", "again"), []),
        (ReplyDrained(3.0, R1), [EndCall("operator")], None),
    ],
    "words that fail end it too": [
        LISTENING,
        (LastWordsOrdered(1.0, BYE, "operator"), [StartReply(R1, "say", BYE), ReleaseReply(R1)]),
        (ReplyFailed(1.1, R1), [CancelReply(R1, "failed"), EndCall("operator")], None),
    ],
    "words that never become audible end it too": [
        LISTENING,
        (LastWordsOrdered(1.0, BYE, "operator"), [StartReply(R1, "say", BYE), ReleaseReply(R1)], 2.2),
        (TimePassed(2.2), [SayFiller(R1, 0)], 7.2),
        (TimePassed(7.2), [SayFiller(R1, 1)], 12.2),
        (TimePassed(12.2), [CancelReply(R1, "failed"), EndCall("operator")], None),
    ],
    "the caller hangs up first": [
        LISTENING,
        (LastWordsOrdered(1.0, BYE, "operator"), [StartReply(R1, "say", BYE), ReleaseReply(R1)]),
        (HungUp(1.5, "caller"), [CancelReply(R1, "hung_up"), EndCall("caller")], None),
    ],
}

MUTED: Rows = {
    "nobody asks whether the caller is there": [
        LISTENING,
        (CallerMuted(1.0), [], None),
        (TimePassed(60.0), [], None),
        (CallerUnmuted(61.0), [], 73.0),
        (TimePassed(73.0), [StartReply(R1, "idle"), ReleaseReply(R1)]),
    ],
    "an operator's words are said": [
        LISTENING,
        (CallerMuted(1.0), []),
        (SayOrdered(2.0, SAY.text), [SAY, ReleaseReply(R1)]),
        (ReplyAudible(2.1, R1), []),
        (ReplyDrained(4.0, R1), [], None),
    ],
    "what was said before is answered": [
        *SPOKE,
        (CallerMuted(2.14), []),
        (MarkAnswered(2.2, 1, WHOLE), [THINK]),
        (TimePassed(2.25), [*COMMIT, ReleaseReply(R1)]),
    ],
}


def rows(**tables: Rows) -> list[Any]:
    return [
        pytest.param(steps, id=f"{table}: {name}") for table, rows in tables.items() for name, steps in rows.items()
    ]


@pytest.mark.parametrize("steps", rows(say=PATIENT, last_words=ENDED, muted=MUTED))
def test_row(steps: Sequence[Any], play: Callable[..., TurnMachine]) -> None:
    play(steps)
