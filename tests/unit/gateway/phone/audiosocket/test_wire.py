"""AudioSocket framing, byte for byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.phone.audiosocket.wire import AUDIO_RATES_HZ, Message, MessageReader, encode, read_types
from voicegate.kernel.errors import ConfigError


def test_messages_byte_by_byte() -> None:
    assert encode(0x00) == b"\x00\x00\x00"
    assert encode(0x03, b"5") == b"\x03\x00\x015"
    assert encode(0x10, bytes(320))[:3] == b"\x10\x01\x40"  # the length is big-endian


@given(st.lists(st.builds(Message, st.integers(0, 255), st.binary(max_size=400))), st.data())
def test_any_cut_gives_the_same_messages(messages: list[Message], data: st.DataObject) -> None:
    wire = b"".join(encode(message.kind, message.payload) for message in messages)
    reader, found = MessageReader(), []
    while wire:
        cut = data.draw(st.integers(1, len(wire)))
        found += reader.push(wire[:cut])
        wire = wire[cut:]
    assert found == messages


@given(st.binary())
def test_any_bytes_hold_back_less_than_a_message(wire: bytes) -> None:
    reader = MessageReader()
    read = reader.push(wire)
    whole = sum(3 + len(message.payload) for message in read)
    assert b"".join(encode(message.kind, message.payload) for message in read) == wire[:whole]
    if len(wire) - whole < 3:
        assert reader.coming is None
    else:
        kind, length = wire[whole], int.from_bytes(wire[whole + 1 : whole + 3], "big")
        assert reader.coming == (kind, length)
        assert len(wire) - whole < 3 + length


def test_a_type_table_is_read_from_text() -> None:
    assert read_types("0x10=8000, 17=16000") == {0x10: 8000, 0x11: 16000}
    assert read_types("") == AUDIO_RATES_HZ


@pytest.mark.parametrize(
    "text", ["0x10", "0x10=", "x=8000", "0x00=8000", "0x01=8000", "0xff=8000", "0x10=0", "300=8000"]
)
def test_a_wrong_type_table_stops_the_start(text: str) -> None:
    with pytest.raises(ConfigError):
        read_types(text)
