"""No state lasts in silence longer than its bound, nor in noise, row by row."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from pipeline.ports import Transcription
from pipeline.turn import TurnMachine
from pipeline.turn_messages import (
    CallBegan,
    CancelReply,
    CommitTranscript,
    CommitTurn,
    DiscardTranscript,
    EndCall,
    EndOrdered,
    MarkAnswered,
    MarkTranscript,
    Notify,
    PausePlayout,
    ReleaseReply,
    ReplyAudible,
    ReplyDrained,
    ReplyFailed,
    ReplyKind,
    ReplyStarved,
    SayFiller,
    SpeechBegan,
    SpeechEnded,
    StartReply,
    TextGiven,
    TimePassed,
    TranscriptionFailed,
    TurnCommand,
)
from voicegate.kernel.ids import ReplyId, TurnId


def reply(number: int) -> ReplyId:
    """The agent's ``number``-th reply of a call in which every reply is a turn of its own."""
    return ReplyId(TurnId(number), number)


def opened(number: int, kind: ReplyKind) -> list[TurnCommand]:
    return [StartReply(reply(number), kind), ReleaseReply(reply(number))]


Steps = list[tuple[Any, ...]]
Rows = dict[str, Steps]

TOO_MANY: list[TurnCommand] = [
    Notify("provider_failed", "too many failures in a row; the call ends"),
    EndCall("provider_failed"),
]
R1, R2, R3, R4 = map(reply, (1, 2, 3, 4))
STORY = Transcription("And then we went on.", -0.2)
NOTHING = Transcription("")

CALL: tuple[Any, ...] = (CallBegan(0.0, None), [], 12.0)
ASKED: Steps = [
    CALL,
    (
        TextGiven(1.0, "hi", "text"),
        [StartReply(R1, "answer", "hi"), CommitTurn(TurnId(1), "hi", "text"), ReleaseReply(R1)],
        2.2,
    ),
]

REPLIES: Rows = {
    "fillers, then giving up, an apology, and at last the end": [
        *ASKED,
        (TimePassed(2.2), [SayFiller(R1, 0)], 7.2),
        (ReplyAudible(2.4, R1, filler=True), [], None),
        (ReplyStarved(3.4, R1), [], 8.4),
        (TimePassed(8.4), [SayFiller(R1, 1)], 13.4),
        (ReplyAudible(8.6, R1, filler=True), []),
        (ReplyStarved(9.6, R1), [], 14.6),
        (TimePassed(14.6), [CancelReply(R1, "failed"), *opened(2, "apology")], 15.8),
        (TimePassed(15.8), [SayFiller(R2, 0)], 20.8),
        (TimePassed(20.8), [SayFiller(R2, 1)], 25.8),
        (TimePassed(25.8), [CancelReply(R2, "failed"), *opened(3, "apology")]),
        (ReplyFailed(26.0, R3), [CancelReply(R3, "failed"), *TOO_MANY], None),
    ],
    "the reply itself comes after a filler: its next silence begins with the first filler again": [
        *ASKED,
        (TimePassed(2.2), [SayFiller(R1, 0)]),
        (ReplyAudible(2.4, R1, filler=True), []),
        (ReplyAudible(2.9, R1), []),
        (ReplyStarved(5.0, R1), [], 6.2),
        (TimePassed(6.2), [SayFiller(R1, 0)]),
    ],
    "it fails before a word": [
        *ASKED,
        (ReplyFailed(1.5, R1), [CancelReply(R1, "failed"), *opened(2, "apology")]),
    ],
    "it fails midway: what there is is played first": [
        *ASKED,
        (ReplyAudible(1.4, R1), []),
        (ReplyFailed(1.5, R1), [], None),
        (ReplyDrained(3.0, R1), opened(2, "apology")),
    ],
    "it fails midway and starves": [
        *ASKED,
        (ReplyAudible(1.4, R1), []),
        (ReplyFailed(1.5, R1), []),
        (ReplyStarved(3.0, R1), [], 3.0),
        (TimePassed(3.0), [CancelReply(R1, "failed"), *opened(2, "apology")]),
    ],
    "an apology that was heard does not make the next failure the first": [
        *ASKED,
        (ReplyFailed(1.5, R1), [CancelReply(R1, "failed"), *opened(2, "apology")]),
        (ReplyDrained(3.0, R2), [], 15.0),
        (TimePassed(15.0), opened(3, "idle")),
        (ReplyFailed(15.5, R3), [CancelReply(R3, "failed"), *opened(4, "apology")]),
        (ReplyFailed(16.0, R4), [CancelReply(R4, "failed"), *TOO_MANY]),
    ],
    "an answer that was heard does": [
        *ASKED,
        (ReplyFailed(1.5, R1), [CancelReply(R1, "failed"), *opened(2, "apology")]),
        (ReplyDrained(3.0, R2), []),
        (TimePassed(15.0), opened(3, "idle")),
        (ReplyDrained(16.0, R3), []),
        (TimePassed(28.0), opened(4, "idle")),
        (ReplyFailed(28.5, R4), [CancelReply(R4, "failed"), *opened(5, "apology")]),
        (ReplyFailed(28.6, reply(5)), [CancelReply(reply(5), "failed"), *opened(6, "apology")]),
    ],
    "it fails and was the last: the call ends without an apology": [
        *ASKED,
        (EndOrdered(1.4, R1, "goodbye"), []),
        (ReplyFailed(1.5, R1), [CancelReply(R1, "failed"), EndCall("goodbye")]),
    ],
    "the agent ends the call once its words are out": [
        *ASKED,
        (ReplyAudible(1.3, R1), []),
        (EndOrdered(1.4, R1, "goodbye"), [], None),
        (ReplyDrained(3.0, R1), [EndCall("goodbye")], None),
    ],
    "what an old reply does is of no matter": [
        *ASKED,
        (ReplyFailed(1.5, R1), [CancelReply(R1, "failed"), *opened(2, "apology")], 2.7),
        (ReplyAudible(1.6, R1), [], 2.7),
        (ReplyStarved(1.7, R1), [], 2.7),
        (EndOrdered(1.8, R1, "late"), [], 2.7),
        (ReplyFailed(1.9, R1), [], 2.7),
        (ReplyDrained(2.0, R1), [], 2.7),
    ],
}

IDLE: Rows = {
    "two prompts, a farewell, the end": [
        CALL,
        (TimePassed(11.9), [], 12.0),
        (TimePassed(12.0), opened(1, "idle")),
        (ReplyAudible(12.2, R1), []),
        (ReplyDrained(14.0, R1), [], 26.0),
        (TimePassed(26.0), opened(2, "idle")),
        (ReplyAudible(26.2, R2), []),
        (ReplyDrained(28.0, R2), [], 40.0),
        (TimePassed(40.0), opened(3, "farewell")),
        (ReplyAudible(40.2, R3), []),
        (ReplyDrained(42.0, R3), [EndCall("idle")], None),
    ],
    "a farewell that cannot be spoken is the end too": [
        CALL,
        (TimePassed(12.0), opened(1, "idle")),
        (ReplyDrained(14.0, R1), []),
        (TimePassed(26.0), opened(2, "idle")),
        (ReplyDrained(28.0, R2), []),
        (TimePassed(40.0), opened(3, "farewell")),
        (ReplyFailed(40.1, R3), [CancelReply(R3, "failed"), EndCall("idle")]),
    ],
    "whoever types is there": [
        CALL,
        (TimePassed(12.0), opened(1, "idle")),
        (ReplyDrained(14.0, R1), []),
        (TimePassed(26.0), opened(2, "idle")),
        (ReplyDrained(28.0, R2), []),
        (
            TextGiven(30.0, "hi", "text"),
            [StartReply(R3, "answer", "hi"), CommitTurn(TurnId(3), "hi", "text"), ReleaseReply(R3)],
        ),
        (ReplyDrained(32.0, R3), []),
        (TimePassed(44.0), opened(4, "idle")),
    ],
    "whoever speaks is there": [
        CALL,
        (TimePassed(12.0), opened(1, "idle")),
        (ReplyDrained(14.0, R1), []),
        (TimePassed(26.0), opened(2, "idle")),
        (ReplyAudible(26.1, R2), []),
        (SpeechBegan(27.1, 27.0), [PausePlayout()]),
        (SpeechEnded(27.4, 27.3, 0.3), [MarkTranscript(1)]),
        (
            MarkAnswered(27.5, 1, Transcription("Yes.")),
            [CancelReply(R2, "barge_in"), StartReply(R3, "answer", "Yes.")],
            27.55,
        ),
        (TimePassed(27.55), [CommitTranscript(1), CommitTurn(TurnId(3), "Yes.", "speech"), ReleaseReply(R3)]),
        (ReplyDrained(30.0, R3), []),
        (TimePassed(42.0), opened(4, "idle")),
    ],
    "a dog that barks now and then is nobody": [
        CALL,
        (SpeechBegan(10.1, 10.0), []),
        (SpeechEnded(11.1, 11.0, 1.0), [MarkTranscript(1)]),
        (MarkAnswered(11.2, 1, NOTHING), [DiscardTranscript()], 12.0),
        (SpeechBegan(11.9, 11.8), []),
        (SpeechEnded(12.9, 12.8, 1.0), [MarkTranscript(2)]),
        (MarkAnswered(13.0, 2, NOTHING), [DiscardTranscript()], 12.0),
        (TimePassed(13.0), opened(1, "idle")),
    ],
}

MUSIC: Rows = {
    "speech without an end and without words is music: it no longer holds the floor": [
        CALL,
        (SpeechBegan(1.1, 1.0), [], 21.0),
        (TimePassed(21.0), [MarkTranscript(1)], 41.0),
        (MarkAnswered(21.1, 1, NOTHING), [DiscardTranscript()], 12.0),
        (TimePassed(21.2), opened(1, "idle"), 22.4),
        (ReplyAudible(21.5, R1), []),
        (SpeechEnded(22.1, 22.0, 21.0), [DiscardTranscript()]),
        (SpeechBegan(22.6, 22.5), [PausePlayout()], 23.2),
    ],
    "music that took the floor from a reply": [
        *ASKED,
        (SpeechBegan(1.3, 1.2), [PausePlayout()], 1.9),
        (TimePassed(1.9), [CancelReply(R1, "barge_in")], 21.2),
        (TimePassed(21.2), [MarkTranscript(1)]),
        (MarkAnswered(21.3, 1, NOTHING), [DiscardTranscript(), *opened(2, "unheard")]),
    ],
    "a long story is listened to, and at last answered": [
        CALL,
        (SpeechBegan(1.1, 1.0), [], 21.0),
        (TimePassed(21.0), [MarkTranscript(1)], 41.0),
        (MarkAnswered(21.1, 1, STORY), [], 41.0),
        (TimePassed(41.0), [MarkTranscript(2)], 61.0),
        (TimePassed(61.0), [MarkTranscript(3)], 81.0),
        (TimePassed(81.0), [MarkTranscript(4)], 101.0),
        (TimePassed(101.0), [MarkTranscript(5)], 121.0),
        (TimePassed(121.0), [MarkTranscript(6)], 125.0),
        (MarkAnswered(121.1, 5, STORY), []),
        (
            MarkAnswered(121.2, 6, STORY),
            [
                CommitTranscript(6),
                StartReply(R1, "answer", STORY.text, -0.2),
                CommitTurn(TurnId(1), STORY.text, "speech", -0.2),
                ReleaseReply(R1),
            ],
            122.4,
        ),
        (SpeechEnded(130.0, 129.9, 128.9), [DiscardTranscript()]),
    ],
    "speech to text is away while the caller tells a story": [
        CALL,
        (SpeechBegan(1.1, 1.0), []),
        (TimePassed(130.0), [MarkTranscript(1)], 134.0),
        (TimePassed(134.0), [DiscardTranscript(), *opened(1, "unheard")]),
    ],
    "speech to text fails at the look at a story: it is looked at again, and no more when it has to end": [
        CALL,
        (SpeechBegan(1.1, 1.0), []),
        (TimePassed(21.0), [MarkTranscript(1)]),
        (TranscriptionFailed(21.1), [], 41.0),
        (TimePassed(121.0), [MarkTranscript(2)], 125.0),
        (TranscriptionFailed(121.1), [DiscardTranscript(), *opened(1, "unheard")]),
    ],
    "speech to text fails for good: the call ends": [
        CALL,
        (SpeechBegan(1.1, 1.0), []),
        (SpeechEnded(2.1, 2.0, 1.0), [MarkTranscript(1)]),
        (TranscriptionFailed(2.2), [DiscardTranscript(), *opened(1, "unheard")]),
        (ReplyDrained(4.0, R1), []),
        (SpeechBegan(5.1, 5.0), []),
        (SpeechEnded(6.1, 6.0, 1.0), [MarkTranscript(2)]),
        (TranscriptionFailed(6.2), [DiscardTranscript(), *opened(2, "unheard")]),
        (ReplyDrained(8.0, R2), []),
        (SpeechBegan(9.1, 9.0), []),
        (SpeechEnded(10.1, 10.0, 1.0), [MarkTranscript(3)]),
        (TranscriptionFailed(10.2), [DiscardTranscript(), *TOO_MANY], None),
    ],
}


def rows(**tables: Rows) -> list[Any]:
    return [
        pytest.param(steps, id=f"{table}: {name}") for table, each in tables.items() for name, steps in each.items()
    ]


@pytest.mark.parametrize("steps", rows(reply=REPLIES, idle=IDLE, music=MUSIC))
def test_row(steps: Sequence[Any], play: Callable[..., TurnMachine]) -> None:
    play(steps)


def test_without_fillers_a_reply_has_longer_before_it_is_given_up(play: Callable[..., TurnMachine]) -> None:
    machine = play([CALL, (*ASKED[1][:2], 6.0)], fillers=0)
    assert machine.handle(TimePassed(6.0)) == [CancelReply(R1, "failed"), *opened(2, "apology")]


def test_without_an_idle_bound_nobody_is_asked(play: Callable[..., TurnMachine]) -> None:
    machine = play([(CallBegan(0.0, None), [], None)], idle_s=0)
    assert machine.handle(TimePassed(1e6)) == []
