"""Who may speak: the caller's turns, row by row: an event, what it orders, and where it matters the next deadline."""

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
    HungUp,
    InterimHeard,
    MarkAnswered,
    MarkTranscript,
    PausePlayout,
    ReleaseReply,
    ReplyAudible,
    ReplyDrained,
    ReplyFailed,
    ReplyStarved,
    ReplyStopped,
    ResumePlayout,
    RevokeReply,
    SayOrdered,
    SpeechBegan,
    SpeechEnded,
    StartReply,
    TextGiven,
    TimePassed,
    TranscriptionFailed,
    TurnCommand,
    UtteranceFlushed,
)
from voicegate.kernel.ids import ReplyId, TurnId

Steps = list[tuple[Any, ...]]
Rows = dict[str, Steps]


def reply(turn: int, attempt: int) -> ReplyId:
    return ReplyId(TurnId(turn), attempt)


R1, R2, R3, R4 = reply(1, 1), reply(1, 2), reply(2, 2), reply(2, 3)
WHOLE = Transcription("Book a table, please.", -0.1)
HALF = Transcription("I would like to", -0.1)
MORE = Transcription("I would like to book a table.", -0.2)
NOTHING = Transcription("")
YES = Transcription("Yes.", -0.1)

LISTENING: tuple[Any, ...] = (CallBegan(0.0, None), [], 12.0)
SPOKE: Steps = [LISTENING, (SpeechBegan(1.1, 1.0), [], 21.0), (SpeechEnded(2.13, 2.0, 1.0), [MarkTranscript(1)], 6.0)]
SPECULATING: Steps = [*SPOKE, (MarkAnswered(2.2, 1, WHOLE), [StartReply(R1, "answer", WHOLE.text, -0.1)], 2.25)]
COMMITTED: Steps = [
    *SPECULATING,
    (
        TimePassed(2.25),
        [CommitTranscript(1), CommitTurn(TurnId(1), WHOLE.text, "speech", -0.1), ReleaseReply(R1)],
        3.45,
    ),
]
HALF_SAID: Steps = [
    *SPOKE,
    (MarkAnswered(2.2, 1, HALF), [StartReply(R1, "answer", HALF.text, -0.1, doubtful=True)], 3.1),
]


def committed(turn: int, said: Transcription, mark: int) -> list[TurnCommand]:
    return [CommitTranscript(mark), CommitTurn(TurnId(turn), said.text, "speech", said.confidence)]


def started(run: ReplyId, said: Transcription) -> StartReply:
    return StartReply(run, "answer", said.text, said.confidence)


def fresh(run: ReplyId, said: Transcription, mark: int) -> list[TurnCommand]:
    """A turn that ends before any work on its answer has begun."""
    transcript, turn = committed(run.turn, said, mark)
    return [transcript, started(run, said), turn, ReleaseReply(run)]


TURNS: Rows = {
    "a plain turn": [
        *COMMITTED,
        (ReplyAudible(2.5, R1), [], None),
        (ReplyDrained(4.0, R1), [], 16.0),
    ],
    "a speculation that is ready early is released, not started again": [
        *SPECULATING,
        (ReplyAudible(2.22, R1), [], 2.25),
        (TimePassed(2.25), [*committed(1, WHOLE, 1), ReleaseReply(R1)], None),
    ],
    "nothing happens before the deadline": [*SPECULATING, (TimePassed(2.24), [], 2.25)],
    "the endpoint passes before the text comes: committed at once, nothing to speculate on": [
        *SPOKE,
        (MarkAnswered(2.4, 1, WHOLE), fresh(R1, WHOLE, 1), 3.6),
    ],
    "the endpoint and the text at the same instant": [
        *SPOKE,
        (MarkAnswered(2.25, 1, WHOLE), fresh(R1, WHOLE, 1)),
    ],
    "a pause in the middle of a sentence revokes the speculation, and both stretches are one turn": [
        *HALF_SAID,
        (SpeechBegan(2.9, 2.8), [RevokeReply(R1)], 22.8),
        (SpeechEnded(3.93, 3.8, 1.0), [MarkTranscript(2)], 7.8),
        (MarkAnswered(4.0, 2, MORE), [started(R2, MORE)], 4.05),
        (TimePassed(4.1), [*committed(1, MORE, 2), ReleaseReply(R2)]),
    ],
    "an unfinished sentence is answered in the end": [
        *HALF_SAID,
        (TimePassed(3.0), [], 3.1),
        (TimePassed(3.1), [*committed(1, HALF, 1), ReleaseReply(R1)]),
    ],
    "speech in the very moment the endpoint passes, before it is noticed": [
        *SPECULATING,
        (SpeechBegan(2.26, 2.2), [RevokeReply(R1)]),
        (TimePassed(2.26), [], 22.2),
    ],
    "a failed speculation is started again at the commit and leaves no trace": [
        *SPECULATING,
        (ReplyFailed(2.23, R1), [], 2.25),
        (
            TimePassed(2.25),
            [
                CommitTranscript(1),
                RevokeReply(R1),
                started(R2, WHOLE),
                CommitTurn(TurnId(1), WHOLE.text, "speech", -0.1),
                ReleaseReply(R2),
            ],
        ),
    ],
    "what a held reply cannot have done is not believed": [
        *SPECULATING,
        (ReplyStarved(2.22, R1), []),
        (ReplyDrained(2.23, R1), [], 2.25),
        (TimePassed(2.25), [*committed(1, WHOLE, 1), ReleaseReply(R1)]),
    ],
    "two stretches before any text: the first answer is stale": [
        *SPOKE,
        (SpeechBegan(2.3, 2.2), []),
        (MarkAnswered(2.35, 1, HALF), []),
        (SpeechEnded(3.0, 2.9, 0.7), [MarkTranscript(2)]),
        (MarkAnswered(3.02, 1, HALF), []),
        (MarkAnswered(3.05, 2, MORE), [started(R1, MORE)], 3.15),
    ],
    "a mark answered twice counts once": [*SPECULATING, (MarkAnswered(2.21, 1, MORE), [], 2.25)],
    "an answer after the turn is over": [*COMMITTED, (MarkAnswered(2.3, 1, MORE), [])],
    "interim text without a reply is only news": [
        LISTENING,
        (SpeechBegan(1.1, 1.0), []),
        (InterimHeard(1.5, "book a table please"), []),
    ],
    "a slammed door: no words, no turn, and no more time until the idle prompt": [
        *SPOKE,
        (MarkAnswered(2.2, 1, NOTHING), [DiscardTranscript()], 12.0),
    ],
    "white space is not a word": [*SPOKE, (MarkAnswered(2.2, 1, Transcription("  ")), [DiscardTranscript()])],
    "a mere yes is a turn when nobody else speaks": [
        *SPOKE,
        (MarkAnswered(2.2, 1, YES), [started(R1, YES)], 2.25),
    ],
    "speech to text never answers": [
        *SPOKE,
        (TimePassed(6.0), [DiscardTranscript(), StartReply(R1, "unheard"), ReleaseReply(R1)], 7.2),
        (MarkAnswered(6.1, 1, WHOLE), []),
    ],
    "speech to text fails": [
        *SPOKE,
        (TranscriptionFailed(2.3), [DiscardTranscript(), StartReply(R1, "unheard"), ReleaseReply(R1)]),
    ],
    "speech to text fails while the caller still speaks: the mark will tell": [
        LISTENING,
        (SpeechBegan(1.1, 1.0), []),
        (TranscriptionFailed(1.5), []),
    ],
    "a failure after the text came is of no matter": [*SPECULATING, (TranscriptionFailed(2.22), [], 2.25)],
    "a failure with no utterance": [LISTENING, (TranscriptionFailed(1.0), [], 12.0)],
    "a mark with no utterance": [LISTENING, (MarkAnswered(1.0, 1, WHOLE), [], 12.0)],
    "a second end of the same speech": [*SPOKE, (SpeechEnded(2.2, 2.1, 1.0), [])],
    "resumed: the agent goes on": [
        (CallBegan(0.0, "resume"), [StartReply(R1, "resume"), ReleaseReply(R1)], 1.2),
    ],
}

FLUSHED: Rows = {
    "the text is there: no more waiting": [
        *SPECULATING,
        (UtteranceFlushed(2.21), [*committed(1, WHOLE, 1), ReleaseReply(R1)]),
    ],
    "the text comes later: committed at once, however unfinished": [
        *SPOKE,
        (UtteranceFlushed(2.15), [], 6.0),
        (MarkAnswered(2.2, 1, HALF), fresh(R1, HALF, 1)),
    ],
    "voice activity has not seen the end: this is the end": [
        LISTENING,
        (SpeechBegan(1.1, 1.0), []),
        (UtteranceFlushed(2.0), [MarkTranscript(1)], 6.0),
        (SpeechEnded(2.1, 2.0, 1.0), []),
        (MarkAnswered(2.2, 1, WHOLE), fresh(R1, WHOLE, 1)),
    ],
    "without speech somebody waits for an answer all the same": [
        LISTENING,
        (UtteranceFlushed(1.0), [StartReply(R1, "unheard"), ReleaseReply(R1)]),
    ],
    "speech without words": [
        *SPOKE,
        (UtteranceFlushed(2.15), []),
        (MarkAnswered(2.2, 1, NOTHING), [DiscardTranscript(), StartReply(R1, "unheard"), ReleaseReply(R1)]),
    ],
    "no words, flushed only afterwards": [
        *SPOKE,
        (MarkAnswered(2.2, 1, NOTHING), [DiscardTranscript()]),
        (UtteranceFlushed(2.3), [StartReply(R1, "unheard"), ReleaseReply(R1)]),
    ],
    "during a reply there is nothing to add": [*COMMITTED, (UtteranceFlushed(2.3), [])],
    "new speech before the text: it was not all after all": [
        *SPOKE,
        (UtteranceFlushed(2.15), []),
        (SpeechBegan(2.3, 2.2), []),
        (SpeechEnded(3.0, 2.9, 0.7), [MarkTranscript(2)]),
        (MarkAnswered(3.05, 2, HALF), [StartReply(R1, "answer", HALF.text, -0.1, doubtful=True)], 4.0),
    ],
}

TYPED: Rows = {
    "while nobody speaks": [
        LISTENING,
        (
            TextGiven(1.0, "42", "dtmf"),
            [StartReply(R1, "answer", "42"), CommitTurn(TurnId(1), "42", "dtmf"), ReleaseReply(R1)],
            2.2,
        ),
    ],
    "over a reply": [
        *COMMITTED,
        (ReplyAudible(2.5, R1), []),
        (
            TextGiven(3.0, "stop", "text"),
            [
                CancelReply(R1, "replaced"),
                StartReply(R3, "answer", "stop"),
                CommitTurn(TurnId(2), "stop", "text"),
                ReleaseReply(R3),
            ],
        ),
    ],
    "on top of spoken words that were understood: they are kept, and the answer is to the later ones": [
        *SPECULATING,
        (
            TextGiven(2.22, "at 8", "text"),
            [
                RevokeReply(R1),
                *committed(1, WHOLE, 1),
                StartReply(R3, "answer", "at 8"),
                CommitTurn(TurnId(2), "at 8", "text"),
                ReleaseReply(R3),
            ],
            3.42,
        ),
    ],
    "while the caller speaks: the reply waits for the caller's words, for as long as they go on": [
        LISTENING,
        (SpeechBegan(1.1, 1.0), []),
        (
            TextGiven(1.2, "hi", "text"),
            [StartReply(R1, "answer", "hi"), CommitTurn(TurnId(1), "hi", "text"), ReleaseReply(R1), PausePlayout()],
            21.0,
        ),
        (TimePassed(1.8), []),
        (SpeechEnded(2.1, 2.0, 1.0), [MarkTranscript(1)], 6.0),
        (MarkAnswered(2.2, 1, YES), [CancelReply(R1, "barge_in"), StartReply(R3, "answer", "Yes.", -0.1)]),
    ],
    "while a door slams: the reply goes on": [
        LISTENING,
        (SpeechBegan(1.1, 1.0), []),
        (
            TextGiven(1.2, "hi", "text"),
            [StartReply(R1, "answer", "hi"), CommitTurn(TurnId(1), "hi", "text"), ReleaseReply(R1), PausePlayout()],
        ),
        (SpeechEnded(2.1, 2.0, 1.0), [MarkTranscript(1)]),
        (MarkAnswered(2.2, 1, NOTHING), [DiscardTranscript(), ResumePlayout()], 3.4),
    ],
    "while the text of speech is awaited and does not come": [
        *SPOKE,
        (
            TextGiven(2.2, "hi", "text"),
            [StartReply(R1, "answer", "hi"), CommitTurn(TurnId(1), "hi", "text"), ReleaseReply(R1)],
            6.0,
        ),
        (ReplyAudible(2.5, R1), []),
        (TranscriptionFailed(3.0), [DiscardTranscript()], None),
    ],
}

SAY = StartReply(R1, "say", "We close at nine.")
SAID: Rows = {
    "while nobody speaks": [LISTENING, (SayOrdered(1.0, SAY.text), [SAY, ReleaseReply(R1)])],
    "in place of a reply": [
        *COMMITTED,
        (SayOrdered(3.0, SAY.text), [CancelReply(R1, "replaced"), StartReply(R3, "say", SAY.text), ReleaseReply(R3)]),
    ],
    "never over the caller's words, nor in place of their answer": [
        LISTENING,
        (SpeechBegan(1.1, 1.0), []),
        (SayOrdered(1.5, SAY.text), []),
        (SpeechEnded(2.13, 2.0, 1.0), [MarkTranscript(1)]),
        (MarkAnswered(2.2, 1, WHOLE), [started(R1, WHOLE)]),
        (TimePassed(2.25), [*committed(1, WHOLE, 1), ReleaseReply(R1)]),
        (ReplyDrained(4.0, R1), [StartReply(R3, "say", SAY.text), ReleaseReply(R3)]),
    ],
    "during a speculation: after it": [
        *SPECULATING,
        (SayOrdered(2.21, SAY.text), []),
        (TimePassed(2.25), [*committed(1, WHOLE, 1), ReleaseReply(R1)]),
        (ReplyStopped(2.5), [CancelReply(R1, "stopped"), StartReply(R3, "say", SAY.text), ReleaseReply(R3)]),
    ],
    "when the caller only coughed": [
        *SPOKE,
        (SayOrdered(2.15, SAY.text), []),
        (MarkAnswered(2.2, 1, NOTHING), [DiscardTranscript(), SAY, ReleaseReply(R1)]),
    ],
    "two orders during speech keep their order": [
        *SPOKE,
        (SayOrdered(2.15, "one"), []),
        (SayOrdered(2.16, "two"), []),
        (MarkAnswered(2.2, 1, NOTHING), [DiscardTranscript(), StartReply(R1, "say", "one"), ReleaseReply(R1)]),
        (ReplyDrained(3.0, R1), [StartReply(R3, "say", "two"), ReleaseReply(R3)]),
    ],
    "not after the end": [
        *SPOKE,
        (SayOrdered(2.15, "one"), []),
        (HungUp(2.2, "caller"), [EndCall("caller")], None),
    ],
}

HUNG_UP: Rows = {
    "before anything": [LISTENING, (HungUp(1.0, "caller"), [EndCall("caller")], None)],
    "in the middle of speech": [
        LISTENING,
        (SpeechBegan(1.1, 1.0), []),
        (HungUp(1.2, "caller"), [EndCall("caller")], None),
    ],
    "while the text is awaited": [*SPOKE, (HungUp(2.2, "caller"), [EndCall("caller")], None)],
    "words that were understood stay said": [
        *SPECULATING,
        (HungUp(2.22, "caller"), [RevokeReply(R1), *committed(1, WHOLE, 1), EndCall("caller")], None),
    ],
    "over a reply": [*COMMITTED, (HungUp(3.0, "caller"), [CancelReply(R1, "hung_up"), EndCall("caller")], None)],
    "over a paused reply": [
        *COMMITTED,
        (ReplyAudible(2.5, R1), []),
        (SpeechBegan(3.1, 3.0), [PausePlayout()]),
        (HungUp(3.2, "caller"), [CancelReply(R1, "hung_up"), EndCall("caller")], None),
    ],
    "and nothing comes after the end": [
        *COMMITTED,
        (HungUp(3.0, "caller"), [CancelReply(R1, "hung_up"), EndCall("caller")]),
        (HungUp(3.0, "again"), []),
        (SpeechBegan(3.1, 3.0), []),
        (TextGiven(3.2, "hello?", "text"), []),
        (SayOrdered(3.3, "bye"), []),
        (ReplyFailed(3.4, R1), []),
        (TimePassed(99.0), [], None),
    ],
}


def rows(**tables: Rows) -> list[Any]:
    return [
        pytest.param(steps, id=f"{table}: {name}") for table, rows in tables.items() for name, steps in rows.items()
    ]


@pytest.mark.parametrize("steps", rows(turn=TURNS, flushed=FLUSHED, typed=TYPED, say=SAID, hung_up=HUNG_UP))
def test_row(steps: Sequence[Any], play: Callable[..., TurnMachine]) -> None:
    play(steps)


def test_without_speculation_work_begins_at_the_commit(play: Callable[..., TurnMachine]) -> None:
    steps = [
        *SPOKE,
        (MarkAnswered(2.2, 1, WHOLE), [], 2.25),
        (TimePassed(2.25), fresh(R1, WHOLE, 1)),
    ]
    play(steps, speculate=False)


def test_before_the_call_begins_nothing_is_due() -> None:
    assert TurnMachine().deadline is None


def test_turns_go_on_where_an_earlier_process_stopped() -> None:
    machine = TurnMachine(first_turn=7)
    machine.handle(CallBegan(0.0, None))
    assert machine.pending_turn == 7
    machine.handle(TextGiven(1.0, "hello", "text"))
    assert machine.reply == reply(7, 1)
    assert machine.pending_turn == 8


def test_no_reply_holds_the_floor_while_it_is_a_speculation(play: Callable[..., TurnMachine]) -> None:
    machine = play(SPECULATING)
    assert machine.reply is None
    machine.handle(TimePassed(2.25))
    assert machine.reply == R1


def test_between_two_turns_the_machine_is_at_rest(play: Callable[..., TurnMachine]) -> None:
    assert TurnMachine().at_rest
    machine = play(SPECULATING)
    assert not machine.at_rest, "the caller has said something"
    machine.handle(TimePassed(2.25))
    assert not machine.at_rest, "the agent answers"
    machine.handle(ReplyDrained(5.0, R1))
    assert machine.at_rest
