"""What an agent puts out, as events."""

from collections.abc import Sequence
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from control_api.chat.telling import Telling
from pipeline.ports import AgentOutput, CallEnded, HandedOff, TextDelta, TokensUsed, ToolCalled, ToolReturned
from voicegate.kernel.events import Event, Failure, Handoff, ReplyText, SessionEnded, ToolFinished, ToolStarted, Usage
from voicegate.kernel.ids import SessionId, TurnId

AT = datetime(2026, 1, 2, tzinfo=UTC)


def telling(seq: int = 0) -> Telling:
    return Telling(SessionId("s"), TurnId(3), "Ann", "local", seq)


def told(by: Telling, *outputs: AgentOutput) -> list[Event]:
    events = list(by.begin(AT))
    for second, output in enumerate(outputs):
        events += by.tell(output, AT, float(second))
    return [*events, *by.finish(AT)]


def tags(events: Sequence[Event]) -> list[str]:
    return [str(type(event).__struct_config__.tag) for event in events]


def said(events: Sequence[Event]) -> str:
    return " ".join(event.text for event in events if isinstance(event, ReplyText))


def test_everything_in_order() -> None:
    by = telling(seq=7)
    events = told(
        by,
        TextDelta("One "),
        TextDelta("moment."),
        ToolCalled("c", "look_up", "{}"),
        ToolReturned("c", "look_up", True, "found"),
        HandedOff("Ann", "Bob"),
        TextDelta(" Here it is."),
        TokensUsed(10, 0),
        CallEnded("goodbye"),
    )
    assert tags(events) == [
        *("reply.started", "reply.text", "reply.text", "tool.started", "tool.finished", "handoff"),
        *("reply.text", "reply.text", "usage", "reply.finished", "session.ended"),
    ]
    assert [event.seq for event in events] == list(range(8, 19))
    assert {(event.session_id, event.turn) for event in events} == {("s", 3)}
    assert said(events) == by.text == "One moment. Here it is."
    assert [(type(e), e.name) for e in events if isinstance(e, ToolStarted | ToolFinished)] == [
        (ToolStarted, "look_up"),
        (ToolFinished, "look_up"),
    ]
    assert (by.agent, by.ended, by.tools[0].duration_ms) == ("Bob", "goodbye", 1000.0)
    assert [e.to_agent for e in events if isinstance(e, Handoff)] == ["Bob"]
    assert [e.unit for e in events if isinstance(e, Usage)] == ["input_tokens"], "nothing used is no usage"
    assert isinstance(events[-1], SessionEnded)


def test_a_failure_ends_it_with_what_was_said() -> None:
    by = telling()
    events = [
        *by.begin(AT),
        *by.tell(TextDelta("Well"), AT, 0.0),
        *by.fail("provider_failed", "no", AT, retryable=True),
    ]
    assert tags(events) == ["reply.started", "reply.text", "error"]
    assert isinstance(events[-1], Failure)
    assert events[-1].retryable


def test_a_result_of_no_call_is_not_told() -> None:
    assert tags(told(telling(), ToolReturned("x", "look_up", True, "found"))) == ["reply.started", "reply.finished"]


@given(st.lists(st.sampled_from(["a", "b c", " ", " d", "e ", "f\ng", ""])))
def test_pieces_joined_by_a_space_are_the_reply(deltas: list[str]) -> None:
    by = telling()
    events = told(by, *map(TextDelta, deltas))
    assert said(events).split() == by.text.split()
    assert by.text == "".join(deltas)
