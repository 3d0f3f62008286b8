"""The full profile's state machine: tables of (messages, commands) and a stateful search."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gateway.close_codes import CloseCode
from gateway.websocket import protocol as rules
from gateway.websocket.commands import (
    Audio,
    Begin,
    CancelReply,
    Close,
    Command,
    EndUtterance,
    HangUp,
    PressKeys,
    Refuse,
    Resume,
    Send,
    TypeText,
)
from gateway.websocket.messages import TYPES, Format
from gateway.websocket.protocol import FullProtocol

PCM = Format("pcm16", 16_000)


def text(**fields: Any) -> str:
    return json.dumps(fields)


def live() -> FullProtocol:
    protocol = FullProtocol()
    protocol.receive_text(text(type="session.start"))
    protocol.joined(session_id="s", resume_secret="r", resumed=False)
    return protocol


def refused(commands: Any) -> dict[str, Any]:
    """The one ``error`` answer that the commands must be."""
    (command,) = commands
    assert isinstance(command, Refuse)
    answer: dict[str, Any] = json.loads(command.data)
    assert answer["type"] == "error"
    assert answer["code"] == command.code
    assert "seq" not in answer
    return answer


def closed(commands: Any) -> CloseCode:
    (command,) = commands
    assert isinstance(command, Close)
    assert len(command.reason.encode()) <= 123 or command.code == CloseCode.BAD_MESSAGE
    return command.code


START: list[tuple[dict[str, Any], Command]] = [
    ({}, Begin(PCM, PCM)),
    ({"greeting": False}, Begin(PCM, PCM, greeting=False)),
    ({"agent": "ada", "context": {"tz": "CET"}}, Begin(PCM, PCM, "ada", True, {"tz": "CET"})),
    ({"input": {"encoding": "pcm16", "rate": 24000}}, Begin(Format("pcm16", 24_000), PCM)),
    ({"output": {"encoding": "opus"}}, Begin(PCM, Format("opus", 48_000))),
    ({"input": {"encoding": "pcmu"}, "output": {"encoding": "pcma", "rate": 8000}},
     Begin(Format("pcmu", 8_000), Format("pcma", 8_000))),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "command"), START)
def test_start(fields: dict[str, Any], command: Command) -> None:
    assert list(FullProtocol().receive_text(text(type="session.start", **fields))) == [command]


def test_audio_first_begins_with_the_defaults() -> None:
    assert list(FullProtocol().receive_binary(b"\0\0")) == [Begin(PCM, PCM), Audio(b"\0\0")]
    assert list(FullProtocol().receive_binary(b"")) == [Begin(PCM, PCM)]


def test_resume() -> None:
    commands = FullProtocol().receive_text(
        text(type="session.resume", lastSeq=7, secret="abc", output={"encoding": "opus"})
    )
    assert list(commands) == [Resume(PCM, Format("opus", 48_000), "abc", 7)]


def test_welcome_repeats_what_was_agreed() -> None:
    protocol = FullProtocol()
    protocol.receive_text(text(type="session.start", output={"encoding": "opus"}))
    (command,) = protocol.joined(session_id="s1", resume_secret="secret", resumed=True)
    assert isinstance(command, Send)
    assert json.loads(command.data) == {
        "type": "session.welcome",
        "sessionId": "s1",
        "resumeSecret": "secret",
        "input": {"encoding": "pcm16", "rate": 16000},
        "output": {"encoding": "opus", "rate": 48000},
        "resumed": True,
    }


LIVE: list[tuple[dict[str, Any], list[Command]]] = [
    ({"type": "utterance.end"}, [EndUtterance()]),
    ({"type": "reply.cancel"}, [CancelReply()]),
    ({"type": "text", "text": "hello"}, [TypeText("hello")]),
    ({"type": "text", "text": "x" * 4000}, [TypeText("x" * 4000)]),
    ({"type": "text", "text": "\u4f60" * 4000}, [TypeText("\u4f60" * 4000)]),
    ({"type": "dtmf", "digits": "12#*a"}, [PressKeys("12#*A")]),
    ({"type": "session.end"}, [HangUp()]),
    ({"type": "ping", "id": 3}, [Send(b'{"type":"pong","id":3}')]),
    ({"type": "ping", "id": "a"}, [Send(b'{"type":"pong","id":"a"}')]),
    ({"type": "ping"}, [Send(b'{"type":"pong","id":""}')]),
]


@pytest.mark.parametrize(("message", "commands"), LIVE)
def test_live(message: dict[str, Any], commands: list[Command]) -> None:
    assert list(live().receive_text(text(**message))) == commands


def test_live_audio() -> None:
    protocol = live()
    assert list(protocol.receive_binary(b"xy")) == [Audio(b"xy")]
    assert list(protocol.receive_binary(b"")) == []


REFUSED_FRESH: list[tuple[dict[str, Any], str, str]] = [
    ({"type": "text", "text": "hi"}, "wrong_order", "session.start"),
    ({"type": "utterance.end"}, "wrong_order", "session.resume"),
    ({"type": "teleport"}, "unknown_type", "reply.cancel"),
    ({"type": "session.start", "input": {"encoding": "mp3"}}, "unsupported_format", "pcm16/24000"),
    ({"type": "session.start", "output": {"encoding": "pcm16", "rate": 44100}}, "unsupported_format", "pcma/8000"),
    ({"type": "session.resume", "lastSeq": 1, "secret": "s", "input": {"encoding": "x"}}, "unsupported_format",
     "opus/48000"),
]  # fmt: skip


@pytest.mark.parametrize(("message", "code", "allowed"), REFUSED_FRESH)
def test_refusals_before_the_call_name_what_is_allowed_and_let_the_client_try_again(
    message: dict[str, Any], code: str, allowed: str
) -> None:
    protocol = FullProtocol()
    answer = refused(protocol.receive_text(text(**message)))
    assert answer["code"] == code
    assert allowed in answer["allowed"]
    assert list(protocol.receive_text(text(type="session.start"))) == [Begin(PCM, PCM)]


OUT_OF_BOUNDS_FRESH: list[dict[str, Any]] = [
    {"type": "session.start", "agent": "a" * 65},
    {"type": "session.start", "context": {str(n): "" for n in range(33)}},
    {"type": "session.start", "context": {"k" * 65: ""}},
    {"type": "session.start", "context": {"k": "v" * 257}},
    {"type": "session.resume", "lastSeq": -1, "secret": "s"},
    {"type": "session.resume", "lastSeq": 1, "secret": ""},
    {"type": "session.resume", "lastSeq": 1, "secret": "s" * 257},
    {"type": "ping", "id": "i" * 65},
]


@pytest.mark.parametrize("message", OUT_OF_BOUNDS_FRESH)
def test_bounds_before_the_call(message: dict[str, Any]) -> None:
    assert refused(FullProtocol().receive_text(text(**message)))["code"] == "out_of_bounds"


OUT_OF_BOUNDS_LIVE: list[dict[str, Any]] = [
    {"type": "text", "text": "   "},
    {"type": "text", "text": "x" * 4001},
    {"type": "dtmf", "digits": ""},
    {"type": "dtmf", "digits": "12x"},
    {"type": "dtmf", "digits": "1" * 33},
]


@pytest.mark.parametrize("message", OUT_OF_BOUNDS_LIVE)
def test_bounds_in_the_call(message: dict[str, Any]) -> None:
    assert refused(live().receive_text(text(**message)))["code"] == "out_of_bounds"


@pytest.mark.parametrize(
    "message", [{"type": "session.start"}, {"type": "session.resume", "lastSeq": 0, "secret": "s"}]
)
def test_a_call_begins_once(message: dict[str, Any]) -> None:
    answer = refused(live().receive_text(text(**message)))
    assert answer["code"] == "wrong_order"
    assert set(answer["allowed"]) == TYPES - {"session.start", "session.resume"}


@pytest.mark.parametrize(
    "garbage", ["", "hello", "[]", "1", "null", '{"type":1}', "{}", '{"type":"ping"', '{"type":"ping"} x', "[" * 20_000]
)
def test_not_a_json_object_with_a_type_closes_with_1007(garbage: str) -> None:
    assert closed(FullProtocol().receive_text(garbage)) == CloseCode.BAD_PAYLOAD


WRONG_FIELDS: list[dict[str, Any]] = [
    {"type": "session.start", "input": "pcm16"},
    {"type": "session.start", "greeting": "yes"},
    {"type": "session.start", "context": {"a": 1}},
    {"type": "session.start", "input": {"encoding": "pcm16", "rate": "16000"}},
    {"type": "session.start", "unknown": 1},
    {"type": "session.resume", "secret": "s"},
    {"type": "text"},
    {"type": "dtmf", "digits": 5},
    {"type": "ping", "id": [1]},
]


@pytest.mark.parametrize("message", WRONG_FIELDS)
def test_wrong_fields_close_with_4400_and_name_the_message(message: dict[str, Any]) -> None:
    (command,) = FullProtocol().receive_text(text(**message))
    assert isinstance(command, Close)
    assert command.code == CloseCode.BAD_MESSAGE
    assert command.reason.startswith(message["type"])


@pytest.mark.parametrize("letter", ["a", "\u4f60"])
def test_a_text_message_above_the_bound_closes_with_1009(letter: str) -> None:
    assert closed(live().receive_text(letter * (rules.MAX_TEXT_MESSAGE_BYTES + 1))) == CloseCode.TOO_BIG


def test_refusals_are_bounded() -> None:
    protocol = live()
    for _ in range(rules.MAX_REFUSALS):
        refused(protocol.receive_text(text(type="nonsense")))
    assert closed(protocol.receive_text(text(type="nonsense"))) == CloseCode.BAD_MESSAGE
    assert list(protocol.receive_text(text(type="ping"))) == []
    assert list(protocol.receive_binary(b"x")) == []


def test_nothing_is_said_while_joining_but_audio_is_dropped_and_order_kept() -> None:
    protocol = FullProtocol()
    protocol.receive_text(text(type="session.start"))
    assert list(protocol.receive_binary(b"xx")) == []
    assert refused(protocol.receive_text(text(type="utterance.end")))["code"] == "wrong_order"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
MESSAGES = st.one_of(
    st.text(max_size=60),
    st.fixed_dictionaries(
        {"type": st.sampled_from([*sorted(TYPES), "other"])},
        optional={
            "input": JSON,
            "text": JSON | st.text(max_size=20),
            "digits": JSON | st.text("0123456789*#abcdx", max_size=40),
            "lastSeq": JSON | st.integers(),
            "secret": JSON | st.text(max_size=20),
            "id": JSON,
            "context": JSON,
        },
    ).map(json.dumps),
)


@given(st.lists(MESSAGES, max_size=8))
def test_whatever_comes_it_never_raises_and_nothing_follows_a_close(stream: list[str]) -> None:
    protocol = FullProtocol()
    over = False
    for message in stream:
        commands = list(protocol.receive_text(message))
        assert not (over and commands)
        over = over or any(isinstance(command, Close | HangUp) for command in commands)


class Conversing(RuleBasedStateMachine):
    """A driver that obeys: it joins whenever it is told to begin or resume."""

    def __init__(self) -> None:
        super().__init__()
        self.protocol = FullProtocol()
        self.joins = 0
        self.closes = 0
        self.live = False

    def perform(self, commands: Any) -> None:
        for command in commands:
            assert self.closes == 0, "a command after Close"
            match command:
                case Begin() | Resume():
                    self.joins += 1
                    self.live = True
                    self.perform(self.protocol.joined(session_id="s", resume_secret="r", resumed=False))
                case Audio() | EndUtterance() | TypeText() | PressKeys() | CancelReply():
                    assert self.live, "a command of the call before the call"
                case Close() | HangUp():
                    self.closes += 1

    @rule(message=MESSAGES)
    def say(self, message: str) -> None:
        self.perform(self.protocol.receive_text(message))

    @rule(data=st.binary(max_size=4))
    def speak(self, data: bytes) -> None:
        before = self.joins
        self.perform(self.protocol.receive_binary(data))
        assert self.closes or self.joins == max(1, before)

    @invariant()
    def joins_once(self) -> None:
        assert self.joins <= 1


TestConversing = Conversing.TestCase
