"""What the gateway's account says of a call's answers."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from benchmarks.phone_lines import Reply, chosen, closed_replies
from voicegate.client.carriers.target import PHONES
from voicegate.kernel.events import Event, ReplyFinished, ReplyInterrupted, ReplyStarted
from voicegate.kernel.ids import SessionId, TurnId

START = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def event(made: Any, seconds: float, **fields: Any) -> Event:
    found: Event = made(session_id=SessionId("s"), seq=1, at=at(seconds), turn=TurnId(1), **fields)
    return found


def test_answers_are_kept_and_greetings_are_not() -> None:
    events = [
        event(ReplyStarted, 0, kind="greeting"),
        event(ReplyFinished, 1, text="Hello."),
        event(ReplyStarted, 2, kind="answer"),
        event(ReplyInterrupted, 3, heard="One", cut="two"),
        event(ReplyStarted, 4, kind="filler"),
        event(ReplyFinished, 5, text="Hm."),
        event(ReplyStarted, 6, kind="answer"),
        event(ReplyFinished, 7, text="One two"),
    ]
    assert closed_replies(events) == [Reply("One", True, at(3), at(6)), Reply("One two", False, at(7))]


def test_carriers_by_name() -> None:
    assert chosen("all") == PHONES
    assert chosen("vonage, twilio") == ("twilio", "vonage")
    with pytest.raises(ValueError, match="telegraph"):
        chosen("telegraph,twilio")
