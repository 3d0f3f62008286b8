"""The caller speaks while the agent holds the floor, row by row."""

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
    SayFiller,
    SayOrdered,
    SpeechBegan,
    SpeechEnded,
    StartReply,
    TextGiven,
    TimePassed,
    TranscriptionFailed,
)
from voicegate.kernel.ids import ReplyId, TurnId

R1, R2, R3 = ReplyId(TurnId(1), 1), ReplyId(TurnId(2), 2), ReplyId(TurnId(3), 3)
STOP = Transcription("Stop it, please.", -0.1)
NOTHING = Transcription("")
HM = Transcription("Mm-hmm.", -0.2)
COUGH = Transcription("Answer.", -0.76)
YES = Transcription("Yes.", -0.1)

Steps = list[tuple[Any, ...]]

THINKING: Steps = [(CallBegan(0.0, "greeting"), [StartReply(R1, "greeting"), ReleaseReply(R1)], 1.2)]
HEARD: Steps = [*THINKING, (ReplyAudible(0.5, R1), [], None)]
OVER: Steps = [*HEARD, (SpeechBegan(2.1, 2.0), [PausePlayout()], 2.7)]
SHORT: Steps = [*OVER, (SpeechEnded(2.45, 2.3, 0.3), [MarkTranscript(1)], 3.3)]
LONG: Steps = [*OVER, (TimePassed(2.7), [CancelReply(R1, "barge_in")], 22.0)]
ANSWER = [StartReply(R2, "answer", STOP.text, -0.1)]
PROMPT: Steps = [
    (CallBegan(0.0, None), []),
    (TimePassed(12.0), [StartReply(R1, "idle"), ReleaseReply(R1)], 13.2),
    (ReplyAudible(12.3, R1), []),
]

ROWS: dict[str, Steps] = {
    "a short stretch with unclear text is a cough": [
        *SHORT,
        (MarkAnswered(2.5, 1, COUGH), [DiscardTranscript(), ResumePlayout()]),
    ],
    "unclear text of a longer stretch takes the floor": [
        *OVER,
        (SpeechEnded(2.65, 2.5, 0.5), [MarkTranscript(1)]),
        (MarkAnswered(2.69, 1, COUGH), [CancelReply(R1, "barge_in"), StartReply(R2, "answer", COUGH.text, -0.76)]),
    ],
    "speech that lasts takes the floor, then it is a turn like any other": [
        *LONG,
        (SpeechEnded(3.13, 3.0, 1.0), [MarkTranscript(1)], 7.0),
        (MarkAnswered(3.2, 1, STOP), ANSWER, 3.25),
        (TimePassed(3.25), [CommitTranscript(1), CommitTurn(TurnId(2), STOP.text, "speech", -0.1), ReleaseReply(R2)]),
    ],
    "two words take the floor at once": [
        *OVER,
        (InterimHeard(2.3, "stop it"), [CancelReply(R1, "barge_in")], 22.0),
    ],
    "one word does not": [*OVER, (InterimHeard(2.3, "stop"), [], 2.7)],
    "listening noises do not, be they two": [*OVER, (InterimHeard(2.3, "yeah okay"), [], 2.7)],
    "interim words of a reply that was cancelled before": [*LONG, (InterimHeard(2.8, "stop it"), [])],
    "few words that are meant": [*SHORT, (MarkAnswered(2.5, 1, STOP), [CancelReply(R1, "barge_in"), *ANSWER], 2.55)],
    "interim words after the speech has ended": [
        *SHORT,
        (InterimHeard(2.5, "stop it"), [CancelReply(R1, "barge_in")], 6.3),
    ],
    "a cough: the reply goes on": [
        *SHORT,
        (MarkAnswered(2.5, 1, NOTHING), [DiscardTranscript(), ResumePlayout()], None),
    ],
    "a listening noise: the reply goes on": [
        *SHORT,
        (MarkAnswered(2.5, 1, HM), [DiscardTranscript(), ResumePlayout()]),
        (SpeechBegan(3.1, 3.0), [PausePlayout()], 3.7),
    ],
    "a yes in the middle is a listening noise": [
        *SHORT,
        (MarkAnswered(2.5, 1, YES), [DiscardTranscript(), ResumePlayout()]),
    ],
    "a yes at the very end is an answer": [
        *HEARD,
        (SpeechBegan(2.1, 2.0, left_s=0.9), [PausePlayout()]),
        (SpeechEnded(2.45, 2.3, 0.3), [MarkTranscript(1)]),
        (MarkAnswered(2.5, 1, YES), [CancelReply(R1, "barge_in"), StartReply(R2, "answer", "Yes.", -0.1)]),
    ],
    "a yes just before the very end is not": [
        *HEARD,
        (SpeechBegan(2.1, 2.0, left_s=1.1), [PausePlayout()]),
        (SpeechEnded(2.45, 2.3, 0.3), [MarkTranscript(1)]),
        (MarkAnswered(2.5, 1, YES), [DiscardTranscript(), ResumePlayout()]),
    ],
    "a cough at the very end is no answer": [
        *HEARD,
        (SpeechBegan(2.1, 2.0, left_s=0.9), [PausePlayout()]),
        (SpeechEnded(2.45, 2.3, 0.3), [MarkTranscript(1)]),
        (MarkAnswered(2.5, 1, NOTHING), [DiscardTranscript(), ResumePlayout()]),
    ],
    "a yes to 'are you still there' is an answer wherever it falls": [
        *PROMPT,
        (SpeechBegan(13.1, 13.0, left_s=2.0), [PausePlayout()]),
        (SpeechEnded(13.4, 13.3, 0.3), [MarkTranscript(1)]),
        (MarkAnswered(13.5, 1, YES), [CancelReply(R1, "barge_in"), StartReply(R2, "answer", "Yes.", -0.1)]),
    ],
    "two stretches over one reply: one pause, both are judged together": [
        *SHORT,
        (SpeechBegan(2.6, 2.5), [], 3.2),
        (MarkAnswered(2.65, 1, HM), []),
        (SpeechEnded(3.0, 2.9, 0.4), [MarkTranscript(2)], 6.9),
        (MarkAnswered(3.05, 2, HM), [DiscardTranscript(), ResumePlayout()]),
    ],
    "a short stretch whose text does not come is a cough": [
        *SHORT,
        (TimePassed(3.3), [DiscardTranscript(), ResumePlayout()], None),
        (MarkAnswered(3.4, 1, STOP), []),
    ],
    "a short stretch whose text fails is a cough": [
        *SHORT,
        (TranscriptionFailed(2.6), [DiscardTranscript(), ResumePlayout()], None),
    ],
    "a longer one whose text does not come was meant": [
        *OVER,
        (SpeechEnded(2.65, 2.5, 0.5), [MarkTranscript(1)], 6.5),
        (
            TimePassed(6.5),
            [CancelReply(R1, "barge_in"), DiscardTranscript(), StartReply(R2, "unheard"), ReleaseReply(R2)],
        ),
    ],
    "long noise cancelled the reply: somebody must speak again": [
        *LONG,
        (SpeechEnded(3.13, 3.0, 1.0), [MarkTranscript(1)]),
        (MarkAnswered(3.2, 1, NOTHING), [DiscardTranscript(), StartReply(R2, "unheard"), ReleaseReply(R2)]),
    ],
    "noise that takes the floor again and again ends the call in the end": [
        *LONG,
        (SpeechEnded(3.13, 3.0, 1.0), [MarkTranscript(1)]),
        (MarkAnswered(3.2, 1, NOTHING), [DiscardTranscript(), StartReply(R2, "unheard"), ReleaseReply(R2)]),
        (SpeechBegan(4.1, 4.0), [PausePlayout()]),
        (TimePassed(4.7), [CancelReply(R2, "barge_in")]),
        (SpeechEnded(5.1, 5.0, 1.0), [MarkTranscript(2)]),
        (MarkAnswered(5.2, 2, NOTHING), [DiscardTranscript(), StartReply(R3, "unheard"), ReleaseReply(R3)]),
        (SpeechBegan(6.1, 6.0), [PausePlayout()]),
        (TimePassed(6.7), [CancelReply(R3, "barge_in")]),
        (SpeechEnded(7.1, 7.0, 1.0), [MarkTranscript(3)]),
        (
            MarkAnswered(7.2, 3, NOTHING),
            [
                DiscardTranscript(),
                StartReply(ReplyId(TurnId(4), 4), "farewell"),
                ReleaseReply(ReplyId(TurnId(4), 4)),
            ],
        ),
        (SpeechBegan(8.1, 8.0), [PausePlayout()]),
        (TimePassed(8.7), [CancelReply(ReplyId(TurnId(4), 4), "barge_in")]),
        (SpeechEnded(9.1, 9.0, 1.0), [MarkTranscript(4)]),
        (MarkAnswered(9.2, 4, NOTHING), [DiscardTranscript(), EndCall("idle")], None),
    ],
    "over a reply that is not audible yet: it is held back, and its time starts again": [
        *THINKING,
        (SpeechBegan(0.3, 0.2), [PausePlayout()], 0.9),
        (ReplyAudible(0.4, R1), []),
        (ReplyStarved(0.5, R1), []),
        (SpeechEnded(0.65, 0.5, 0.3), [MarkTranscript(1)], 1.5),
        (MarkAnswered(0.7, 1, HM), [DiscardTranscript(), ResumePlayout()], 1.9),
    ],
    "the caller goes on right after the turn was taken from him": [
        *THINKING,
        (SpeechBegan(0.15, 0.1), [PausePlayout()], 0.8),
        (TimePassed(0.8), [CancelReply(R1, "barge_in")]),
        (SpeechEnded(1.2, 1.1, 1.0), [MarkTranscript(1)]),
        (MarkAnswered(1.3, 1, STOP), ANSWER),
    ],
    "in the first 200 ms of a reply": [
        *HEARD,
        (SpeechBegan(0.65, 0.6), [PausePlayout()], 1.3),
        (TimePassed(1.3), [CancelReply(R1, "barge_in")]),
    ],
    "while a tool works: a listening noise changes nothing, words take the floor": [
        *HEARD,
        (ReplyStarved(1.0, R1), [], 2.2),
        (SpeechBegan(1.6, 1.5), [PausePlayout()], 2.2),
        (SpeechEnded(1.95, 1.8, 0.3), [MarkTranscript(1)]),
        (MarkAnswered(2.0, 1, HM), [DiscardTranscript(), ResumePlayout()], 3.2),
        (TimePassed(3.2), [SayFiller(R1, 0)], 8.2),
        (ReplyAudible(3.3, R1, filler=True), []),
        (SpeechBegan(3.6, 3.5), [PausePlayout()]),
        (InterimHeard(3.8, "never mind"), [CancelReply(R1, "barge_in")]),
    ],
    "all was heard while the pause was on its way": [
        *OVER,
        (ReplyDrained(2.15, R1), [], 22.0),
        (SpeechEnded(2.45, 2.3, 0.3), [MarkTranscript(1)], 6.3),
        (MarkAnswered(2.5, 1, YES), [StartReply(R2, "answer", "Yes.", -0.1)]),
    ],
    "all was heard while paused, and it was a cough": [
        *OVER,
        (ReplyDrained(2.15, R1), []),
        (SpeechEnded(2.45, 2.3, 0.3), [MarkTranscript(1)]),
        (MarkAnswered(2.5, 1, NOTHING), [DiscardTranscript()], 14.15),
    ],
    "it fails while the caller speaks: nothing is said over him": [
        *THINKING,
        (SpeechBegan(0.3, 0.2), [PausePlayout()]),
        (ReplyFailed(0.4, R1), [], 0.9),
        (SpeechEnded(0.65, 0.5, 0.3), [MarkTranscript(1)]),
        (MarkAnswered(0.7, 1, HM), [DiscardTranscript(), ResumePlayout()], 0.7),
        (TimePassed(0.7), [CancelReply(R1, "failed"), StartReply(R2, "apology"), ReleaseReply(R2)]),
    ],
    "it failed and played to its end while the caller began to speak": [
        *OVER,
        (ReplyFailed(2.12, R1), []),
        (ReplyDrained(2.15, R1), [], 22.0),
        (SpeechEnded(2.45, 2.3, 0.3), [MarkTranscript(1)]),
        (MarkAnswered(2.5, 1, STOP), ANSWER),
    ],
    "it failed and played to its end while the caller coughed": [
        *OVER,
        (ReplyFailed(2.12, R1), []),
        (ReplyDrained(2.15, R1), []),
        (SpeechEnded(2.45, 2.3, 0.3), [MarkTranscript(1)]),
        (MarkAnswered(2.5, 1, NOTHING), [DiscardTranscript(), StartReply(R2, "unheard"), ReleaseReply(R2)]),
    ],
    "the end that the agent ordered is off when the caller takes the floor": [
        *HEARD,
        (EndOrdered(1.0, R1, "goodbye"), []),
        (SpeechBegan(2.1, 2.0), [PausePlayout()]),
        (TimePassed(2.7), [CancelReply(R1, "barge_in")]),
        (ReplyDrained(2.8, R1), []),
        (SpeechEnded(3.1, 3.0, 1.0), [MarkTranscript(1)]),
        (MarkAnswered(3.2, 1, STOP), ANSWER),
    ],
    "the end that the agent ordered comes in spite of a cough": [
        *HEARD,
        (EndOrdered(1.0, R1, "goodbye"), []),
        (SpeechBegan(2.1, 2.0), [PausePlayout()]),
        (SpeechEnded(2.4, 2.2, 0.2), [MarkTranscript(1)]),
        (MarkAnswered(2.5, 1, NOTHING), [DiscardTranscript(), ResumePlayout()]),
        (ReplyDrained(4.0, R1), [EndCall("goodbye")], None),
    ],
    "the button stops a reply": [*HEARD, (ReplyStopped(2.0), [CancelReply(R1, "stopped")], 14.0)],
    "the button without a reply": [
        (CallBegan(0.0, None), []),
        (ReplyStopped(2.0), [], 14.0),
    ],
    "the button while paused": [
        *OVER,
        (ReplyStopped(2.2), [CancelReply(R1, "stopped")], 22.0),
        (SpeechEnded(2.45, 2.3, 0.3), [MarkTranscript(1)], 6.3),
        (MarkAnswered(2.5, 1, YES), [StartReply(R2, "answer", "Yes.", -0.1)]),
    ],
    "text typed meanwhile: the new reply waits for the words, which were not said over it": [
        *OVER,
        (
            TextGiven(2.2, "hi", "text"),
            [
                CancelReply(R1, "replaced"),
                StartReply(R2, "answer", "hi"),
                CommitTurn(TurnId(2), "hi", "text"),
                ReleaseReply(R2),
                PausePlayout(),
            ],
            22.0,
        ),
        (SpeechEnded(2.45, 2.3, 0.3), [MarkTranscript(1)], 6.3),
        (MarkAnswered(2.5, 1, YES), [CancelReply(R2, "barge_in"), StartReply(R3, "answer", "Yes.", -0.1)]),
    ],
    "an operator speaks after a cough, when the reply is through": [
        *SHORT,
        (SayOrdered(2.47, "hello"), []),
        (MarkAnswered(2.5, 1, NOTHING), [DiscardTranscript(), ResumePlayout()]),
        (ReplyDrained(4.0, R1), [StartReply(R2, "say", "hello"), ReleaseReply(R2)]),
    ],
}


@pytest.mark.parametrize("steps", [pytest.param(steps, id=name) for name, steps in ROWS.items()])
def test_row(steps: Sequence[Any], play: Callable[..., TurnMachine]) -> None:
    play(steps)
