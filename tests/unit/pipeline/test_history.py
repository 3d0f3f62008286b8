"""What the agent gets to see: what was said and heard, in order, and not for ever."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.history import History
from pipeline.ports import Message


def test_in_order_and_only_what_was_heard() -> None:
    history = History()
    history.user("Is there a table?")
    history.tool("c1", "tables", '{"at": 20}', "one")
    history.reply("Yes, one", agent="host", interrupted=True)
    history.reply("", agent="host", interrupted=True)
    assert history.messages == (
        Message("user", "Is there a table?"),
        Message("tool_call", '{"at": 20}', name="tables", call_id="c1"),
        Message("tool_result", "one", name="tables", call_id="c1"),
        Message("assistant", "Yes, one", agent="host", interrupted=True),
    )


def test_a_snapshot_does_not_grow() -> None:
    history = History()
    before = history.messages
    history.user("hello")
    assert before == ()


def test_it_goes_on_where_it_was() -> None:
    earlier = [Message("user", "hello")]
    history = History(earlier)
    history.user("again")
    assert [message.text for message in history.messages] == ["hello", "again"]
    assert len(earlier) == 1


def test_what_was_remembered_is_bounded_too() -> None:
    history = History([Message("user", str(number)) for number in range(300)])
    assert [message.text for message in history.messages] == [str(number) for number in range(100, 300)]


def test_no_tool_result_is_left_without_its_call() -> None:
    history = History()
    history.tool("c1", "t", "{}", "r")
    for number in range(199):
        history.user(str(number))
    assert [message.role for message in history.messages[:2]] == ["user", "user"]
    assert len(history.messages) == 199


@given(st.lists(st.sampled_from(("user", "reply", "tool")), max_size=400))
def test_the_newest_two_hundred(acts: list[str]) -> None:
    history = History()
    whole: list[str] = []
    for number, act in enumerate(acts):
        match act:
            case "user":
                history.user(str(number))
            case "reply":
                history.reply(str(number), agent="a", interrupted=False)
            case "tool":
                history.tool(str(number), "t", str(number), str(number))
                whole.append(str(number))
        whole.append(str(number))
    texts = [message.text for message in history.messages]
    assert len(texts) in {min(len(whole), 200), 199}
    assert texts == whole[len(whole) - len(texts) :]
    assert not texts or history.messages[0].role != "tool_result"
