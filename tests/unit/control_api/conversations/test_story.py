"""The fold from events to rows."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from control_api.conversations.story import Story, storable, told
from voicegate.kernel.events import (
    Event,
    Failure,
    Latency,
    ReplyFinished,
    ReplyHeard,
    ReplyInterrupted,
    ReplyStarted,
    ReplyText,
    SessionEnded,
    SessionStarted,
    SpeechStarted,
    ToolFinished,
    TurnCommitted,
)
from voicegate.kernel.ids import SessionId, TurnId

BEGAN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def numbered(*events: tuple[type[Event], dict[str, Any]]) -> list[Event]:
    return [
        kind(session_id=SessionId("s"), seq=seq, at=BEGAN + timedelta(seconds=seq), **values)
        for seq, (kind, values) in enumerate(events, 1)
    ]


def turn(number: int) -> dict[str, Any]:
    return {"turn": TurnId(number)}


ANSWERED = numbered(
    (SessionStarted, {"agent": "A", "transport": "t"}),
    (SpeechStarted, {"audio_ms": 1}),
    (SpeechStarted, {"audio_ms": 1, **turn(1)}),
    (TurnCommitted, {"text": "Hi?", "source": "text", **turn(1)}),
    (ReplyStarted, {"agent": "A", **turn(1)}),
    (ToolFinished, {"call_id": "c", "name": "n", "ok": False, "result": "r", "duration_ms": 1.25, **turn(1)}),
    (ReplyText, {"text": "Hello there.", **turn(1)}),
    (ReplyHeard, {"text": "Hello", **turn(1)}),
)


def test_while_the_agent_speaks_only_what_was_heard_counts() -> None:
    (row,) = told(ANSWERED).changed_turns()
    assert (row["user_text"], row["user_source"], row["agent_text"], row["agent_state"]) == (
        "Hi?",
        "text",
        "Hello",
        "speaking",
    )
    assert row["agent_generated"] == "Hello there."
    assert row["tools"] == [{"name": "n", "ok": False, "durationMs": 1.2}]
    assert row["voice_to_voice_ms"] is None


def test_only_what_changed_is_written_again() -> None:
    story = told(ANSWERED)
    assert len(story.changed_turns()) == 1
    assert len(story.changed_turns()) == 1, "not before it is said to be written"
    story.written()
    assert story.changed_turns() == []
    finished = ReplyFinished(
        session_id=SessionId("s"), seq=9, at=BEGAN + timedelta(seconds=9), text="Hello there.", turn=TurnId(1)
    )
    story.apply(finished)
    (row,) = story.changed_turns()
    assert (row["agent_text"], row["agent_state"], row["agent_ended_at"]) == ("Hello there.", "finished", finished.at)


def test_an_event_that_comes_again_changes_nothing() -> None:
    story = told(ANSWERED)
    story.written()
    for event in ANSWERED:
        story.apply(event)
    assert (story.changed_turns(), story.last_seq) == ([], 8)


def test_the_call_counts() -> None:
    story = told(
        numbered(
            (SessionStarted, {"agent": "A"}),
            (ReplyStarted, {"agent": "A", **turn(1)}),
            (ReplyText, {"text": "Hello there.", **turn(1)}),
            (ReplyInterrupted, {"heard": "Hello", "cut": "there.", **turn(1)}),
            (Failure, {"code": "c", "message": "m"}),
            (Failure, {"code": "c", "message": "m", **turn(2)}),
            (SessionEnded, {"reason": "client"}),
        )
    )
    assert (story.interruptions, story.failures, story.turns_count(), story.status) == (1, 2, 1, "ended")
    assert story.lines() == [{"turn": 1, "role": "agent", "text": "Hello", "at": story.lines()[0]["at"]}]
    (row,) = story.changed_turns()
    assert (row["user_text"], row["user_at"], row["agent_state"]) == ("", None, "interrupted")


def test_a_turn_with_a_caller_alone() -> None:
    (row,) = told(numbered((TurnCommitted, {"text": "Hi?", **turn(1)}))).changed_turns()
    assert (row["agent_state"], row["agent_text"], row["agent_name"], row["agent_at"]) == ("listening", "", "", None)


def test_latency_goes_to_its_turn() -> None:
    parts = {"endpointing_ms": 1.0, "stt_ms": 2.0, "agent_ms": 3.0, "tts_ms": 4.0, "playout_ms": 5.0}
    (row,) = told(numbered((Latency, {"voice_to_voice_ms": 15.0, **parts, **turn(4)}))).changed_turns()
    assert (row["turn"], row["voice_to_voice_ms"]) == (4, 15.0)
    assert {name: row[name] for name in parts} == parts


@pytest.mark.parametrize(("reason", "status"), [("client", "ended"), ("error", "failed"), ("lost", "failed")])
def test_how_it_ended(reason: str, status: str) -> None:
    story = Story()
    assert story.status == "active"
    story.end(reason, BEGAN)
    assert story.status == status


def test_a_call_that_was_taken_for_lost_may_go_on() -> None:
    story = Story()
    story.end("lost", BEGAN)
    story.apply(SessionStarted(session_id=SessionId("s"), seq=1, at=BEGAN, agent="A", resumed=True))
    assert (story.status, story.ended_reason) == ("active", "")


def test_what_the_database_cannot_keep() -> None:
    assert storable("a\x00b\ud800c") == "ab?c"
