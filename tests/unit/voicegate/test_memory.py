"""What a process makes of a call that another one held."""

from datetime import UTC, datetime
from typing import Literal

from pipeline.ports import Message
from sessions.model import TranscriptEntry
from voicegate.kernel.events import Event, Handoff, Notice, ToolFinished, ToolStarted
from voicegate.kernel.ids import SessionId, TurnId
from voicegate.memory import answering, remembered

AT = datetime(2030, 1, 1, tzinfo=UTC)


def entry(
    turn: int, role: Literal["user", "agent"], text: str, state: Literal["finished", "interrupted"] = "finished"
) -> TranscriptEntry:
    return TranscriptEntry(TurnId(turn), role, text, AT, state=state, agent="Amelia" if role == "agent" else "")


def started(turn: int, call_id: str) -> Event:
    return ToolStarted(
        session_id=SessionId("s"), seq=1, at=AT, turn=TurnId(turn), call_id=call_id, name="find", arguments="{}"
    )


def finished(turn: int, call_id: str) -> Event:
    return ToolFinished(
        session_id=SessionId("s"), seq=1, at=AT, turn=TurnId(turn), call_id=call_id, name="find", ok=True,
        result=f"found {call_id}", duration_ms=1.0,
    )  # fmt: skip


def tool(call_id: str) -> tuple[Message, Message]:
    return (
        Message("tool_call", "{}", name="find", call_id=call_id),
        Message("tool_result", f"found {call_id}", name="find", call_id=call_id),
    )


def test_nothing_was_said() -> None:
    memory = remembered((), ())
    assert (memory.history, memory.first_turn, memory.agent, memory.interrupted) == ((), 1, "", False)


def test_tools_stand_between_the_question_and_the_answer() -> None:
    entries = (entry(1, "user", "a home"), entry(1, "agent", "Mill Lane."), entry(2, "user", "and its price"))
    events = (started(1, "x"), started(1, "y"), finished(1, "y"), finished(1, "x"))
    memory = remembered(entries, events)
    assert memory.history == (
        Message("user", "a home"),
        *tool("y"),
        *tool("x"),
        Message("assistant", "Mill Lane.", agent="Amelia"),
        Message("user", "and its price"),
    )
    assert memory.first_turn == 3
    assert memory.agent == "Amelia"
    assert memory.interrupted, "the second question has no answer yet"


def test_a_tool_without_its_result_and_one_of_another_turn_are_left_out() -> None:
    entries = (entry(1, "user", "a home"), entry(1, "agent", "One moment."))
    memory = remembered(entries, (started(1, "x"), finished(1, "unknown"), started(7, "z"), finished(7, "z")))
    assert memory.history == (Message("user", "a home"), Message("assistant", "One moment.", agent="Amelia"))
    assert not memory.interrupted


def test_a_reply_that_was_cut_is_as_long_as_it_was_heard() -> None:
    memory = remembered((entry(1, "agent", "Hello, this", "interrupted"),), ())
    assert memory.history == (Message("assistant", "Hello, this", agent="Amelia", interrupted=True),)
    assert memory.interrupted


def test_what_an_operator_had_ordered_still_holds() -> None:
    def noticed(code: str) -> Event:
        return Notice(session_id=SessionId("s"), seq=1, at=AT, code=code, message="")

    def handed(agent_id: str) -> Event:
        return Handoff(session_id=SessionId("s"), seq=1, at=AT, from_agent="A", to_agent="B", agent_id=agent_id)

    assert remembered((), (noticed("muted"), noticed("state_away"))).muted
    assert not remembered((), (noticed("muted"), noticed("unmuted"))).muted
    assert answering("first", ()) == "first"
    assert answering("first", (handed("second"), handed(""), handed("third"), handed(""))) == "third"
