"""What is said on the socket of notifications."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_api.notifications import messages
from control_api.notifications.messages import Authenticate, Malformed


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"type":"authenticate","token":"t"}', Authenticate("t")),
        ('{"type":"authenticate","token":"t","lastEventId":"12-0"}', Authenticate("t", "12-0")),
    ],
)
def test_who_speaks(text: str, said: Authenticate) -> None:
    assert messages.read(text) == said


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "{",
        "[]",
        '{"type":"hello"}',
        '{"type":"authenticate"}',
        '{"type":"authenticate","token":1}',
        '{"type":"authenticate","token":"t","more":1}',
        '{"type":"authenticate","token":"t","lastEventId":"$"}',
        '{"type":"authenticate","token":"t","lastEventId":"1-1 "}',
        '{"type":"authenticate","token":"\ud800"}',
    ],
)
def test_what_is_none_of_its_messages(text: str | None) -> None:
    with pytest.raises(Malformed):
        messages.read(text)


@given(st.text())
def test_whatever_comes_is_understood_or_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        messages.read(text)


def test_positions_are_compared_as_numbers() -> None:
    assert messages.position("9-10") > messages.position("9-9")
    assert messages.position("10-0") > messages.position("9-10")


@pytest.mark.parametrize(
    ("offered", "token"),
    [([], ""), (["voicegate.notifications.v1"], ""), (["voicegate.notifications.v1", "bearer.a.b.c"], "a.b.c")],
)
def test_a_token_among_the_subprotocols(offered: list[str], token: str) -> None:
    assert messages.offered_token(offered) == token


def test_what_is_told() -> None:
    payload = b'{"type":"agent.published","at":"x","data":{}}'
    assert json.loads(messages.notification("1-0", payload)) == {"id": "1-0", **json.loads(payload)}
    assert messages.kind_of(payload) == "agent.published"
    assert messages.kind_of(b"{}") == messages.kind_of(b"?") == ""
    assert json.loads(messages.ready("1-0", complete=True)) == {"type": "ready", "lastEventId": "1-0", "complete": True}
    assert json.loads(messages.service("redis_away", "m", "x"))["data"] == {"code": "redis_away", "message": "m"}
    assert json.loads(messages.heartbeat("x")) == {"type": "heartbeat", "at": "x"}
