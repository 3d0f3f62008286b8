"""Vonage's WebSocket, byte for byte, and in every order."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.phone.messages import (
    Audio,
    Began,
    Cleared,
    Ended,
    Ignored,
    KeyPressed,
    MarkReturned,
    PhoneCall,
    PhoneFormat,
    ProtocolViolation,
    SendBinary,
    SendText,
)
from gateway.phone.vonage.protocol import VonageProtocol

CONNECTED = (
    '{"event":"websocket:connected","content-type":"audio/l16;rate=16000","call_id":"63f61863","token":"secret",'
    '"caller":"441632960960","called":"441632960961","direction":"inbound","customer":"C-7"}'
)


def live(text: str = CONNECTED) -> VonageProtocol:
    protocol = VonageProtocol()
    protocol.receive_text(text)
    return protocol


def test_the_first_message_says_which_call_it_is() -> None:
    protocol = VonageProtocol()
    assert protocol.connected() == []
    audio = PhoneFormat("pcm16", 16_000)
    call = PhoneCall(
        "vonage",
        "63f61863",
        caller="441632960960",
        called="441632960961",
        direction="inbound",
        parameters={"customer": "C-7"},
        token="secret",
    )
    assert protocol.receive_text(CONNECTED) == [Began(call, audio, audio)]
    assert protocol.accepted() == []


@pytest.mark.parametrize(("rate", "packet_bytes"), [(8_000, 320), (16_000, 640), (24_000, 960)])
def test_audio_leaves_in_messages_of_exactly_20_ms(rate: int, packet_bytes: int) -> None:
    protocol = live(CONNECTED.replace("16000", str(rate)))
    assert protocol.play(bytes(packet_bytes)) == [SendBinary(bytes(packet_bytes))]
    assert protocol.play(b"\1" * (packet_bytes + 2)) == [
        SendBinary(b"\1" * packet_bytes),
        SendBinary(b"\1\1".ljust(packet_bytes, b"\0")),
    ]


def test_what_we_say_byte_by_byte() -> None:
    protocol = live()
    assert protocol.mark("m1") == [SendText(b'{"action":"notify","payload":{"mark":"m1"}}')]
    assert protocol.clear() == [SendText(b'{"action":"clear"}')]
    assert list(protocol.press_keys("1")) == list(protocol.hang_up("done")) == list(protocol.refused("busy")) == []


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ('{"event":"websocket:dtmf","digit":"5","duration":260}', KeyPressed("5")),
        ('{"event":"websocket:dtmf","dtmf":{"digit":"#","duration":260}}', KeyPressed("#")),
        ('{"event":"websocket:dtmf","digit":"55"}', Ignored("bad_key")),
        ('{"event":"websocket:notify","payload":{"mark":"m1"}}', MarkReturned("m1")),
        ('{"event":"websocket:notify","payload":{}}', Ignored("foreign_mark")),
        ('{"event":"websocket:notify"}', Ignored("foreign_mark")),
        ('{"event":"websocket:cleared"}', Cleared()),
        ('{"event":"websocket:media:update","active":false}', Ignored("media_update")),
        ('{"event":"websocket:disconnected"}', Ended("caller")),
        ('{"event":"else"}', Ignored("unknown_event")),
        ("{}", Ignored("unknown_event")),
    ],
)
def test_what_vonage_says(text: str, step: object) -> None:
    assert live().receive_text(text) == [step]


def test_audio_comes_in() -> None:
    protocol = live()
    assert protocol.receive_binary(b"\1\2") == [Audio(b"\1\2")]
    assert protocol.receive_binary(b"") == [Ignored("empty_audio")]


def test_after_the_end_nothing_counts() -> None:
    protocol = live()
    protocol.receive_text('{"event":"websocket:disconnected"}')
    assert protocol.receive_binary(b"\1\2") == [Ignored("after_end")]
    assert protocol.receive_text('{"event":"websocket:cleared"}') == [Ignored("after_end")]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("hello", "not_json"),
        ('{"event":"websocket:dtmf","digit":"5"}', "wrong_order"),
        ("{}", "wrong_order"),
        ('{"event":"websocket:connected"}', "bad_format"),
        (CONNECTED.replace("16000", "44100"), "bad_format"),
        (CONNECTED.replace("l16", "opus"), "bad_format"),
        (CONNECTED.replace('"call_id"', '"x"'), "missing_field"),
    ],
)
def test_a_wrong_first_message_ends_the_connection(text: str, code: str) -> None:
    with pytest.raises(ProtocolViolation) as violation:
        VonageProtocol().receive_text(text)
    assert violation.value.code == code


def test_audio_before_the_first_message_ends_the_connection() -> None:
    with pytest.raises(ProtocolViolation, match="audio came before"):
        VonageProtocol().receive_binary(b"\0\0")


def test_a_second_first_message_ends_the_connection() -> None:
    with pytest.raises(ProtocolViolation) as violation:
        live().receive_text(CONNECTED)
    assert violation.value.code == "second_start"


EVENTS = ["connected", "dtmf", "notify", "cleared", "disconnected", "media:update"]


@given(
    st.lists(
        st.binary(max_size=9)
        | st.text(max_size=40)
        | st.fixed_dictionaries(
            {"event": st.sampled_from(["websocket:" + name for name in EVENTS])},
            optional={
                name: st.none()
                | st.integers()
                | st.text(max_size=9)
                | st.dictionaries(st.text(), st.text(), max_size=2)
                for name in ("content-type", "call_id", "digit", "payload", "dtmf")
            },
        ).map(json.dumps),
        max_size=8,
    ),
    st.booleans(),
)
def test_any_messages_in_any_order(messages: list[str | bytes], started: bool) -> None:
    protocol = live() if started else VonageProtocol()
    for message in messages:
        try:
            steps = protocol.receive_text(message) if isinstance(message, str) else protocol.receive_binary(message)
        except ProtocolViolation:
            return
        assert len(steps) == 1
