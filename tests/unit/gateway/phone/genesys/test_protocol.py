"""AudioHook, byte for byte; its numbers; and every order of messages."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.phone.genesys.messages import MAX_TEXT_CHARACTERS, NOBODY
from gateway.phone.genesys.protocol import MAX_AUDIO_BYTES, GenesysProtocol, Opening
from gateway.phone.messages import (
    Audio,
    Began,
    Drained,
    Ended,
    Ignored,
    KeyPressed,
    PeerPaused,
    PeerResumed,
    PhoneCall,
    PhoneFormat,
    ProtocolViolation,
    SendBinary,
    SendText,
    Step,
)

SESSION = "30b0e395-84d3-4570-ac13-9a62d8f514c0"
ORGANIZATION = "d7934305-0972-4844-938e-9060eef73d05"
OPEN: dict[str, Any] = {
    "organizationId": ORGANIZATION,
    "conversationId": "090eaa2f-72fa-480a-83e0-8667ff89c0ec",
    "participant": {"id": "883efee8-3d6c-4537-b500-6d7ca4b92fa0", "ani": "+1555", "aniName": "", "dnis": "+1556"},
    "media": [{"type": "audio", "format": "PCMU", "channels": ["external"], "rate": 8000}],
    "language": "en-US",
    "customConfig": {"flow": "main"},
    "inputVariables": {"tier": "gold"},
}


class Client:
    """Counts as a client does."""

    def __init__(self, protocol: GenesysProtocol) -> None:
        self.protocol = protocol
        self.seq = 0
        self.heard: list[dict[str, Any]] = []

    def text(self, kind: str, parameters: object = None, **changed: object) -> str:
        self.seq += 1
        envelope = {
            "version": "2",
            "id": SESSION,
            "type": kind,
            "seq": self.seq,
            "serverseq": len(self.heard),
            "position": "PT0S",
            "parameters": {} if parameters is None else parameters,
        }
        return json.dumps({**envelope, **changed})

    def say(self, kind: str, parameters: object = None, **changed: object) -> list[Step]:
        """The steps without what was sent; that is in ``heard``."""
        return self.listen(self.protocol.receive_text(self.text(kind, parameters, **changed)))

    def listen(self, steps: Any) -> list[Step]:
        self.heard += [json.loads(step.data) for step in steps if isinstance(step, SendText)]
        return [step for step in steps if not isinstance(step, SendText)]


def new() -> Client:
    return Client(GenesysProtocol(Opening(SESSION, ORGANIZATION)))


def live(**changed: object) -> Client:
    client = new()
    client.say("open", {**OPEN, **changed})
    client.listen(client.protocol.accepted())
    return client


def broken(client: Client, *args: Any, **changed: Any) -> ProtocolViolation:
    with pytest.raises(ProtocolViolation) as violation:
        client.say(*args, **changed)
    client.listen(violation.value.last_words)
    return violation.value


def test_open_is_answered_once_the_call_is_taken() -> None:
    client = new()
    assert list(client.protocol.connected()) == []
    pcmu = PhoneFormat("pcmu", 8_000)
    call = PhoneCall(
        "genesys",
        str(OPEN["conversationId"]),
        stream_id=SESSION,
        account_id=ORGANIZATION,
        caller="+1555",
        called="+1556",
        parameters={"flow": "main", "tier": "gold", "language": "en-US"},
    )
    assert client.say("open", OPEN) == [Began(call, pcmu, pcmu)]
    assert client.heard == []
    assert client.protocol.accepted() == [
        SendText(
            b'{"version":"2","id":"30b0e395-84d3-4570-ac13-9a62d8f514c0","type":"opened","seq":1,"clientseq":1,'
            b'"parameters":{"media":[{"type":"audio","format":"PCMU","channels":["external"],"rate":8000}],'
            b'"startPaused":false}}'
        )
    ]


def test_languages_are_answered_where_they_are_asked_for() -> None:
    client = new()
    client.say("open", {**OPEN, "supportedLanguages": True})
    client.listen(client.protocol.accepted())
    assert client.heard[0]["parameters"]["supportedLanguages"] == []


def test_a_probe_is_answered_and_no_call_begins() -> None:
    client = new()
    assert client.say("open", {**OPEN, "conversationId": NOBODY}) == [Ignored("probe")]
    assert client.say("ping") == []
    assert client.protocol.receive_binary(b"\xff") == [Ignored("after_end")]
    assert list(client.protocol.accepted()) == list(client.protocol.play(b"\xff")) == []
    assert client.say("close", {"reason": "end"}) == [Ended("probe")]
    assert [message["type"] for message in client.heard] == ["opened", "pong", "closed"]


def test_a_probe_may_offer_nothing() -> None:
    client = new()
    client.say("open", {**OPEN, "conversationId": NOBODY, "media": []})
    assert client.heard[0]["parameters"]["media"] == []


def test_our_numbers_rise_and_acknowledge() -> None:
    client = live()
    client.say("ping")
    client.say("ping", {"rtt": "PT0.1S"})
    client.listen(client.protocol.hang_up("agent"))
    assert [(each["type"], each["seq"], each["clientseq"]) for each in client.heard] == [
        ("opened", 1, 1),
        ("pong", 2, 2),
        ("pong", 3, 3),
        ("disconnect", 4, 3),
    ]
    assert client.heard[-1]["parameters"] == {"reason": "completed", "info": "agent"}


@pytest.mark.parametrize(
    ("reason", "ended"),
    [
        ("end", Ended("caller")),
        ("error", Ended("error")),
        ("disconnect", Ended("hung_up")),
        ("reconnect", Ended("reconnect", resumable=True)),
    ],
)
def test_close_is_answered(reason: str, ended: Ended) -> None:
    client = live()
    assert client.say("close", {"reason": reason}) == [ended]
    assert client.heard[-1]["type"] == "closed"
    assert client.say("close", {"reason": reason}) == client.say("ping") == [Ignored("after_end")]
    assert client.protocol.receive_binary(b"\xff") == [Ignored("after_end")]
    assert list(client.protocol.hang_up("x")) == []


def test_after_our_disconnect_close_is_awaited() -> None:
    client = live()
    client.listen(client.protocol.hang_up("agent"))
    assert client.protocol.receive_binary(b"\xff") == [Ignored("after_end")]
    assert list(client.protocol.play(b"\xff")) == list(client.protocol.clear()) == []
    assert client.say("dtmf", {"digit": "1"}) == [Ignored("wrong_order")]
    assert client.say("close", {"reason": "disconnect"}) == [Ended("hung_up")]


@pytest.mark.parametrize(("code", "reason"), [("token_used", "unauthorized"), ("busy", "error")])
def test_a_call_that_is_not_taken(code: str, reason: str) -> None:
    client = new()
    client.say("open", OPEN)
    client.listen(client.protocol.refused(code))
    assert client.heard[-1]["type"] == "disconnect"
    assert client.heard[-1]["parameters"] == {"reason": reason, "info": code}


def test_audio_both_ways() -> None:
    client = live()
    assert client.protocol.receive_binary(b"\1\2") == [Audio(b"\1\2")]
    assert client.protocol.receive_binary(b"") == [Ignored("empty_audio")]
    assert client.protocol.play(b"\1\2") == [SendBinary(b"\1\2")]
    assert [len(send.data) for send in client.protocol.play(bytes(MAX_AUDIO_BYTES + 1))] == [MAX_AUDIO_BYTES, 1]


def test_of_two_channels_the_callers_is_heard() -> None:
    client = live(media=[{"type": "audio", "format": "PCMU", "channels": ["internal", "external"], "rate": 8000}])
    assert client.protocol.receive_binary(b"\0\1\0\2") == [Audio(b"\1\2")]
    with pytest.raises(ProtocolViolation) as violation:
        client.protocol.receive_binary(b"\0\1\0")
    assert violation.value.code == "bad_audio"


def test_barge_in_byte_by_byte() -> None:
    assert live().protocol.clear() == [
        SendText(
            b'{"version":"2","id":"30b0e395-84d3-4570-ac13-9a62d8f514c0","type":"event","seq":2,"clientseq":1,'
            b'"parameters":{"entities":[{"type":"barge_in","data":{}}]}}'
        )
    ]
    assert (
        list(new().protocol.clear()) == list(live().protocol.mark("m")) == list(live().protocol.press_keys("1")) == []
    )


def test_a_pause() -> None:
    client = live()
    assert client.say("resumed", {"start": "PT0S", "discarded": "PT0S"}) == [Ignored("wrong_order")]
    assert client.say("paused") == [PeerPaused(300.0)]
    assert client.say("paused") == [Ignored("wrong_order")]
    assert list(client.protocol.play(b"\xff")) == []
    assert client.say("dtmf", {"digit": "1"}) == [KeyPressed("1")]
    assert client.say("resumed", {"start": "PT1S", "discarded": "PT1S"}) == [PeerResumed()]
    assert client.protocol.play(b"\xff")


@pytest.mark.parametrize(
    ("kind", "parameters", "step"),
    [
        ("dtmf", {"digit": "#"}, [KeyPressed("#")]),
        ("playback_started", {}, [Ignored("playback_started")]),
        ("playback_completed", {}, [Drained()]),
        ("discarded", {"start": "PT0S", "discarded": "PT1S"}, [Ignored("discarded")]),
        ("error", {"code": 408, "message": ""}, [Ignored("peer_error_408")]),
        ("error", {"code": 429, "message": ""}, [Ignored("peer_error_429")]),
        ("error", {"code": 429, "message": "", "retryAfter": "PT3S"}, [Ignored("peer_error_429"), PeerPaused(3.0)]),
        ("update", {"language": "de-DE"}, []),
        ("newer", {}, [Ignored("unknown_type")]),
    ],
)
def test_what_genesys_says(kind: str, parameters: object, step: list[object]) -> None:
    assert live().say(kind, parameters) == step


def test_an_update_is_confirmed() -> None:
    client = live()
    client.say("update", {"language": "de-DE"})
    assert client.heard[-1]["type"] == "updated"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"seq": 3}, "bad_seq"),
        ({"seq": 1}, "bad_seq"),
        ({"seq": 0}, "bad_seq"),
        ({"serverseq": 2}, "bad_seq"),
        ({"id": "10b0e395-84d3-4570-ac13-9a62d8f514c0"}, "foreign_stream"),
        ({"version": "3"}, "bad_message"),
        ({"position": "soon"}, "bad_message"),
    ],
)
def test_a_broken_rule_disconnects_with_an_error(changed: dict[str, object], code: str) -> None:
    client = live()
    assert broken(client, "ping", **changed).code == code
    assert client.heard[-1]["type"] == "disconnect"
    assert client.heard[-1]["parameters"]["reason"] == "error"


def test_after_a_broken_rule_the_next_message_is_the_end() -> None:
    client = live()
    broken(client, "ping", seq=9)
    assert client.say("close", {"reason": "disconnect"}) == [Ended("error")]
    assert client.protocol.receive_binary(b"\xff") == [Ignored("after_end")]
    assert list(client.protocol.hang_up("x")) == []


def test_wrong_parameters_disconnect_with_an_error() -> None:
    for kind in ("close", "dtmf", "error", "discarded"):
        assert broken(live(), kind, {}).code == "bad_message"
    client = live()
    client.say("paused")
    assert broken(client, "resumed", {}).code == "bad_message"
    assert broken(new(), "open", {}).code == "bad_message"


def test_a_second_open_disconnects() -> None:
    assert broken(live(), "open", OPEN).code == "second_start"


def test_another_organization_is_unauthorized() -> None:
    client = new()
    assert broken(client, "open", {**OPEN, "organizationId": NOBODY}).code == "foreign_stream"
    assert client.heard[-1]["parameters"]["reason"] == "unauthorized"


def test_media_that_we_cannot_hear_disconnects() -> None:
    assert broken(new(), "open", {**OPEN, "media": []}).code == "bad_format"


def test_a_session_without_a_name_takes_that_of_its_first_message() -> None:
    client = Client(GenesysProtocol(Opening(NOBODY)))
    client.say("ping")
    assert client.heard[0]["id"] == SESSION
    assert broken(client, "ping", id=NOBODY).code == "foreign_stream"


def test_text_that_is_no_message_disconnects() -> None:
    for text, code in (("hello", "not_json"), ("x" * (MAX_TEXT_CHARACTERS + 1), "too_big")):
        with pytest.raises(ProtocolViolation) as violation:
            GenesysProtocol(Opening()).receive_text(text)
        assert violation.value.code == code
        assert len(violation.value.last_words) == 1


def test_audio_before_opened_disconnects() -> None:
    client = new()
    client.say("open", OPEN)
    with pytest.raises(ProtocolViolation) as violation:
        client.protocol.receive_binary(b"\xff")
    assert violation.value.code == "wrong_order"


def test_the_last_words_are_said_once() -> None:
    client = live()
    client.listen(client.protocol.hang_up("agent"))
    assert broken(client, "ping", seq=99).last_words == ()


KINDS = [
    "open",
    "close",
    "ping",
    "paused",
    "resumed",
    "discarded",
    "error",
    "dtmf",
    "playback_completed",
    "update",
    "x",
]
PARAMETERS = st.sampled_from(
    [
        {},
        OPEN,
        {"reason": "end"},
        {"digit": "1"},
        {"code": 429, "message": ""},
        {"start": "PT0S", "discarded": "PT0S"},
        [],
        {**OPEN, "conversationId": NOBODY},
    ]
)
ACTS = st.sampled_from(["accepted", "hang_up", "clear", "play"])


@given(
    st.lists(
        st.tuples(st.sampled_from(KINDS), PARAMETERS) | st.binary(max_size=9) | st.text(max_size=40) | ACTS, max_size=12
    )
)
def test_any_order_keeps_our_numbers_without_a_gap(acts: list[Any]) -> None:
    client = new()
    protocol = client.protocol
    doing: dict[str, Callable[[], Any]] = {
        "accepted": protocol.accepted,
        "hang_up": lambda: protocol.hang_up("x"),
        "clear": protocol.clear,
        "play": lambda: protocol.play(b"\xff"),
    }
    for act in acts:
        try:
            if isinstance(act, tuple):
                client.say(*act)
            elif isinstance(act, bytes):
                client.listen(protocol.receive_binary(act))
            else:
                client.listen(doing[act]() if act in doing else protocol.receive_text(act))
        except ProtocolViolation as violation:
            client.listen(violation.last_words)
            break
    assert [message["seq"] for message in client.heard] == list(range(1, len(client.heard) + 1))
