"""What counts as a question that was answered."""

from typing import Any

import pytest

from benchmarks.rolling_record import questions


def question(turn: int, source: str = "dtmf") -> dict[str, Any]:
    return {"type": "turn.committed", "turn": turn, "source": source}


def reply(turn: int, kind: str = "answer", end: str = "finished") -> list[dict[str, Any]]:
    return [{"type": "reply.started", "turn": turn, "kind": kind}, {"type": f"reply.{end}", "turn": turn}]


@pytest.mark.parametrize(
    ("events", "taken", "answered"),
    [
        ([*reply(1, "greeting"), question(2), *reply(2)], {2}, {2}),
        ([question(1, "text"), *reply(1, "filler"), *reply(1)], {1}, {1}),
        ([question(1), *reply(1, "filler"), *reply(1, end="interrupted")], {1}, set()),
        ([question(1), *reply(1, "apology")], {1}, set()),
        ([question(1, "speech"), *reply(1)], set(), {1}),
        ([question(1)], {1}, set()),
    ],
)
def test_a_question_is_answered_when_its_own_answer_was_heard_to_the_end(
    events: list[dict[str, Any]], taken: set[int], answered: set[int]
) -> None:
    assert questions(events) == (taken, answered)
