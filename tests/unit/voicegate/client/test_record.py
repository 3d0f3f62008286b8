"""The account of a call: who speaks, who is owed an answer, what was said."""

from datetime import UTC, datetime
from typing import Any

import pytest

from voicegate.client.record import CallRecord, Line
from voicegate.kernel import events
from voicegate.kernel.ids import SessionId, TurnId

_AT = datetime(2026, 1, 1, tzinfo=UTC)


def _fill(*steps: tuple[type[events.Event], int | None, dict[str, Any]]) -> CallRecord:
    record = CallRecord()
    for seq, (kind, turn, fields) in enumerate(steps, 1):
        owner = None if turn is None else TurnId(turn)
        record.add(seq * 100, kind(session_id=SessionId("s"), seq=seq, at=_AT, turn=owner, **fields))
    return record


_STARTED = (events.SpeechStarted, None, {"audio_ms": 0})
_STOPPED = (events.SpeechStopped, None, {"audio_ms": 1})
_COMMITTED = (events.TurnCommitted, 2, {"text": "Hello?"})
_REPLYING: Any = (events.ReplyStarted, 2, {})
_FINISHED = (events.ReplyFinished, 2, {"text": "Hi."})
_CUT = (events.ReplyInterrupted, 2, {"heard": "H", "cut": "i."})
_OTHER_FINISHED = (events.ReplyFinished, 1, {"text": "Welcome."})


@pytest.mark.parametrize(
    ("steps", "rest", "unanswered"),
    [
        ([], True, False),
        ([_STARTED], False, True),
        ([_STARTED, _STOPPED], True, True),
        ([_STARTED, _STOPPED, _COMMITTED], False, False),
        ([_STARTED, _STOPPED, _COMMITTED, _REPLYING], False, False),
        ([_STARTED, _STOPPED, _COMMITTED, _REPLYING, _FINISHED], True, False),
        ([_STARTED, _STOPPED, _COMMITTED, _OTHER_FINISHED], False, False),
        ([_STARTED, _STOPPED, _COMMITTED, _REPLYING, _STARTED, _CUT], False, True),
        ([_STARTED, _STOPPED, _COMMITTED, _REPLYING, _STARTED, _CUT, _STOPPED], True, True),
    ],
)
def test_rest(steps: list[Any], rest: bool, unanswered: bool) -> None:
    record = _fill(*steps)
    assert (record.at_rest, record.unanswered_speech) == (rest, unanswered)


def test_the_transcript_holds_what_was_heard() -> None:
    record = _fill(_OTHER_FINISHED, _COMMITTED, _REPLYING, _CUT)
    assert record.transcript() == [
        Line("agent", "Welcome."),
        Line("caller", "Hello?"),
        Line("agent", "H", interrupted=True),
    ]


def test_marks_divide_the_call() -> None:
    record = _fill(_OTHER_FINISHED)
    mark = record.mark
    record.add(900, _COMMITTED[0](session_id=SessionId("s"), seq=9, at=_AT, turn=TurnId(2), text="x"))
    assert [event.text for event in record.of(events.TurnCommitted, mark)] == ["x"]
    assert record.of(events.ReplyFinished, mark) == []
    assert record.positions(events.TurnCommitted, mark) == [900]
    assert record.last_seq == 9


def test_the_end_has_a_reason() -> None:
    assert _fill((events.SessionEnded, None, {"reason": "hang_up"})).ended == "hang_up"
