"""The judge of outages sees every kind of loss."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from benchmarks.outage_records import Judged, differences
from benchmarks.rolling_callers import Caller
from control_api.conversations.story import told
from voicegate.kernel.events import (
    Event,
    ReplyFinished,
    ReplyHeard,
    ReplyStarted,
    ReplyText,
    SessionEnded,
    SessionStarted,
    TurnCommitted,
    encode,
)
from voicegate.kernel.ids import SessionId, TurnId

AT = datetime(2026, 11, 21, tzinfo=UTC)


def events() -> list[Event]:
    def common(seq: int, turn: int | None = 1) -> dict[str, Any]:
        at = AT + timedelta(seconds=seq)
        return {"session_id": SessionId("s"), "seq": seq, "at": at, "turn": TurnId(turn) if turn else None}

    return [
        SessionStarted(agent="Amelia", **common(1, None)),
        TurnCommitted(text="What time is it?", source="text", **common(2)),
        ReplyStarted(agent="Amelia", **common(3)),
        ReplyText(text="It is nine.", **common(4)),
        ReplyHeard(text="It is nine.", **common(5)),
        ReplyFinished(text="It is nine.", **common(6)),
        SessionEnded(reason="client", **common(7, None)),
    ]


def caller(heard: list[Event]) -> Caller:
    return Caller("ws", "s", [event.seq for event in heard], [encode(event).decode() for event in heard])


def stored(kept: list[Event]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Rows as the database gives them."""
    story = told(kept)
    turns = [{**turn, "id": "another column"} for turn in story.changed_turns()]
    return {"transcript": story.lines(), "last_seq": story.last_seq}, turns


def test_what_is_kept_as_it_was_told_is_no_loss() -> None:
    row, turns = stored(events())
    assert differences(caller(events()), row, turns) == 0


@pytest.mark.parametrize("lost", [1, 2, 5, 6])
def test_an_event_that_is_lost_is_seen(lost: int) -> None:
    row, turns = stored(events()[:lost] + events()[lost + 1 :])
    assert differences(caller(events()), row, turns) >= 1


def test_a_turn_that_is_lost_or_made_up_is_seen() -> None:
    row, turns = stored(events())
    assert differences(caller(events()), row, []) == 1
    assert differences(caller(events()), row, [*turns, {**turns[0], "turn": 2}]) == 1
    assert differences(caller(events()), {**row, "transcript": []}, turns) == 1


@pytest.mark.parametrize("name", ["dropped", "missing", "gaps", "different"])
def test_any_loss_fails(name: str) -> None:
    nothing: dict[str, Any] = {"calls": 1, "events": 1, "turns": 1, "dropped": 0, "how": ()}
    nothing |= {"missing": 0, "gaps": 0, "different": 0}
    assert Judged(**nothing).well
    assert not Judged(**{**nothing, name: 1}).well
