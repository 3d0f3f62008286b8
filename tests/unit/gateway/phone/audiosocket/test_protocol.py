"""AudioSocket, byte for byte, and in every order."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.phone.audiosocket.protocol import AudioSocketOptions, AudioSocketProtocol
from gateway.phone.audiosocket.wire import encode
from gateway.phone.messages import (
    Audio,
    Began,
    Ended,
    Ignored,
    KeyPressed,
    PhoneCall,
    PhoneFormat,
    ProtocolViolation,
    SendBinary,
)

CALL = uuid.UUID("40325ec2-5efd-4bd3-805f-53576e581d13")
HELLO = encode(0x01, CALL.bytes)
BEGAN = PhoneCall("audiosocket", str(CALL), token=str(CALL))
FOLLOW = AudioSocketOptions(rate_hz=0)
DEFAULTS = AudioSocketOptions()


def live(options: AudioSocketOptions = DEFAULTS) -> AudioSocketProtocol:
    protocol = AudioSocketProtocol(options)
    protocol.receive_binary(HELLO)
    return protocol


def test_the_uuid_begins_the_call() -> None:
    audio = PhoneFormat("pcm16", 8_000)
    protocol = AudioSocketProtocol(AudioSocketOptions())
    assert protocol.receive_binary(HELLO[:7]) == []
    assert protocol.receive_binary(HELLO[7:]) == [Began(BEGAN, audio, audio)]
    assert list(protocol.connected()) == list(protocol.accepted()) == []


def test_the_rate_may_be_that_of_the_first_audio() -> None:
    protocol = AudioSocketProtocol(FOLLOW)
    assert protocol.receive_binary(HELLO) == []
    audio = PhoneFormat("pcm16", 16_000)
    assert protocol.receive_binary(encode(0x12, b"\1\2")) == [Began(BEGAN, audio, audio), Audio(b"\1\2")]
    assert protocol.play(b"\1\2") == [SendBinary(b"\x12\x00\x02\1\2")]


def test_where_any_uuid_is_taken_it_is_no_capability() -> None:
    (began,) = AudioSocketProtocol(AudioSocketOptions(secret_uuid=False)).receive_binary(HELLO)
    assert isinstance(began, Began)
    assert (began.call.call_id, began.call.token) == (str(CALL), "")


def test_the_type_table_is_a_setting() -> None:
    protocol = AudioSocketProtocol(AudioSocketOptions(rate_hz=16_000, types={0x10: 8_000, 0x11: 16_000}))
    protocol.receive_binary(HELLO)
    assert protocol.play(b"\1\2") == [SendBinary(b"\x11\x00\x02\1\2")]


def test_what_we_say_byte_by_byte() -> None:
    protocol = live()
    assert protocol.play(bytes(320)) == [SendBinary(b"\x10\x01\x40" + bytes(320))]
    assert list(protocol.play(b"")) == []  # audio without a sample would end the call
    assert protocol.hang_up("done") == protocol.refused("busy") == [SendBinary(b"\0\0\0")]
    assert list(protocol.mark("m")) == list(protocol.clear()) == list(protocol.press_keys("1")) == []


@pytest.mark.parametrize(
    ("message", "step"),
    [
        (encode(0x10, b"\1\2"), Audio(b"\1\2")),
        (encode(0x10), Ignored("empty_audio")),
        (encode(0x03, b"5"), KeyPressed("5")),
        (encode(0x03, b"55"), Ignored("bad_key")),
        (encode(0x00), Ended("caller")),
        (encode(0xFF, b"\2"), Ended("error")),
        (encode(0x42), Ignored("unknown_type")),
    ],
)
def test_what_asterisk_says(message: bytes, step: object) -> None:
    assert live().receive_binary(message) == [step]


def test_after_the_end_nothing_counts() -> None:
    protocol = live()
    assert protocol.receive_binary(encode(0x00) + encode(0x10, b"\1\2")) == [Ended("caller"), Ignored("after_end")]
    assert list(protocol.play(b"\1\2")) == list(protocol.hang_up("x")) == []


def test_a_hang_up_before_the_uuid() -> None:
    assert AudioSocketProtocol(FOLLOW).receive_binary(encode(0x00)) == [Ended("caller")]


def test_keys_before_the_call_began_do_not_count() -> None:
    protocol = AudioSocketProtocol(FOLLOW)
    assert protocol.receive_binary(HELLO + encode(0x03, b"5")) == [Ignored("bad_key")]


@pytest.mark.parametrize(
    ("wire", "code"),
    [
        (encode(0x10, b"\1\2"), "wrong_order"),
        (encode(0x01, b"short"), "wrong_order"),
        (b"\x16\x03\x01", "wrong_order"),  # TLS: its first message would be long
        (b"GET", "wrong_order"),
        (HELLO + HELLO, "second_start"),
        (HELLO + encode(0x12, b"\1\2"), "bad_format"),
    ],
)
def test_a_broken_rule_hangs_up(wire: bytes, code: str) -> None:
    with pytest.raises(ProtocolViolation) as violation:
        AudioSocketProtocol(AudioSocketOptions()).receive_binary(wire)
    assert violation.value.code == code
    assert violation.value.last_words == (SendBinary(b"\0\0\0"),)


def test_a_rate_that_we_cannot_speak_hangs_up() -> None:
    with pytest.raises(ProtocolViolation):
        AudioSocketProtocol(FOLLOW).receive_binary(HELLO + encode(0x11, b"\1\2"))


def test_there_is_no_text_on_a_line() -> None:
    with pytest.raises(ProtocolViolation):
        live().receive_text("x")


MESSAGES = st.builds(
    encode, st.sampled_from([0, 1, 3, 0x10, 0x11, 0x12, 0xFF]) | st.integers(0, 255), st.binary(max_size=20)
)


@given(st.booleans(), st.lists(MESSAGES | st.binary(max_size=30), max_size=8), st.sampled_from([0, 8_000, 16_000]))
def test_any_bytes(started: bool, pieces: list[bytes], rate_hz: int) -> None:
    protocol = AudioSocketProtocol(AudioSocketOptions(rate_hz=rate_hz))
    began = 0
    for piece in [HELLO, *pieces] if started else pieces:
        try:
            steps = protocol.receive_binary(piece)
        except ProtocolViolation:
            return
        for step in steps:
            began += isinstance(step, Began)
            assert began == 1 or isinstance(step, Ignored | Ended)
