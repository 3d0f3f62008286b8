from typing import Any, cast

import pytest

from pipeline.adapters.agent_input import Note, Speaker, facts_text, input_items, notes_text, read_note, user_text
from pipeline.ports import AgentRequest, Message

SPEAKERS = {
    "Ann": Speaker("transfer_to_ann", frozenset({"find"})),
    "Bob": Speaker("transfer_to_bob", frozenset({"loan"})),
}


def shape(items: Any) -> list[str]:
    return [item.get("name") or item.get("role") or item["type"] for item in items]


@pytest.mark.parametrize("kind", ["greeting", "idle", "resume"])
def test_stage_directions_survive_the_round_trip(kind: Any) -> None:
    request = AgentRequest("s", (), "and then", kind=kind)
    assert read_note(user_text(request)) == Note(kind, "and then", False)


@pytest.mark.parametrize(("confidence", "doubtful"), [(None, False), (-0.1, False), (-0.5, False), (-0.51, True)])
def test_doubt_survives_the_round_trip(confidence: float | None, doubtful: bool) -> None:
    request = AgentRequest("s", (), "book a viewing", confidence=confidence)
    assert read_note(user_text(request)) == Note("answer", "book a viewing", doubtful)


def test_a_handoff_is_put_before_the_new_agents_first_tool_call() -> None:
    history = [
        Message("user", "a house and a loan"),
        Message("tool_call", "{}", name="find", call_id="1"),
        Message("tool_result", "x", name="find", call_id="1"),
        Message("tool_call", "{}", name="loan", call_id="2"),
        Message("tool_result", "y", name="loan", call_id="2"),
        Message("assistant", "That would be y.", agent="Bob"),
    ]
    first = [Message("assistant", "Hello, Ann here.", agent="Ann")]
    items = input_items(AgentRequest("s", (*first, *history), "thanks", agent="Bob"), SPEAKERS)
    output = "function_call_output"
    assert shape(items) == [
        "assistant", "user", "find", output, "transfer_to_bob", output, "loan", output, "assistant", "user",
    ]  # fmt: skip


def test_a_handoff_nobody_has_spoken_after_yet() -> None:
    history = [Message("assistant", "Hello.", agent="Ann"), Message("user", "bob please")]
    items = input_items(AgentRequest("s", history, "hello?", agent="Bob"), SPEAKERS)
    assert shape(items) == ["assistant", "user", "transfer_to_bob", "function_call_output", "user"]


def test_nothing_heard_is_nothing_said() -> None:
    history = [Message("assistant", "", agent="Ann", interrupted=True), Message("user", "hello")]
    assert shape(input_items(AgentRequest("s", history, "again"), SPEAKERS)) == ["user", "user"]


def test_a_cut_reply_ends_in_a_dash() -> None:
    history = [Message("assistant", "We are open from ", agent="Ann", interrupted=True)]
    items = input_items(AgentRequest("s", history, "what"), SPEAKERS)
    assert cast(Any, items[0])["content"] == "We are open from —"


def test_facts_are_one_line_each() -> None:
    assert facts_text({}) == ""
    assert facts_text({"caller": "a\n\nb"}).splitlines()[-1] == "- caller: a b"
    assert len(facts_text({"long": "x" * 1000})) < 400


def test_an_operators_notes_stand_in_lines_of_their_own() -> None:
    assert notes_text(()) == ""
    told = notes_text(("She is\n\n- a gold member.", "x" * 3_000))
    assert told.splitlines()[3:] == ["- She is - a gold member.", f"- {'x' * 2_000}"]
