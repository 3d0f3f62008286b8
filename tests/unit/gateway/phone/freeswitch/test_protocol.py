"""FreeSWITCH mod_audio_stream, byte for byte, and in every order."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiocodecs.wav import decode_wav
from gateway.phone.freeswitch.protocol import Address, StreamOptions, StreamProtocol
from gateway.phone.messages import (
    Audio,
    Began,
    Ignored,
    PhoneCall,
    PhoneFormat,
    ProtocolViolation,
    SendBinary,
    SendText,
)

METADATA = (
    '{"uuid":"u-1","caller_id_number":"+1555","destination_number":"100","rate":16000,"token":"secret","tier":"gold"}'
)
HERE = Address("fallback")
DEFAULTS = StreamOptions()


def live(options: StreamOptions = DEFAULTS) -> StreamProtocol:
    protocol = StreamProtocol(options, HERE)
    protocol.receive_text(METADATA)
    return protocol


def clip(protocol: StreamProtocol, packet: bytes) -> dict[str, Any]:
    (send,) = protocol.play(packet)
    assert isinstance(send, SendText)
    message = json.loads(send.data)
    assert message["type"] == "streamAudio"
    assert isinstance(message["data"], dict)
    return message["data"]


def test_metadata_says_which_call_it_is() -> None:
    protocol = StreamProtocol(StreamOptions(), HERE)
    audio = PhoneFormat("pcm16", 16_000)
    call = PhoneCall("freeswitch", "u-1", caller="+1555", called="100", parameters={"tier": "gold"}, token="secret")
    assert protocol.receive_text(METADATA) == [Began(call, audio, audio)]
    assert protocol.receive_text("sent by uuid_audio_stream send_text") == [Ignored("text")]


def test_without_metadata_the_address_and_the_settings_say_it() -> None:
    protocol = StreamProtocol(StreamOptions(), Address("", {"uuid": "u-2", "caller": "7", "tier": "gold"}))
    audio = PhoneFormat("pcm16", 8_000)
    call = PhoneCall("freeswitch", "u-2", caller="7", parameters={"tier": "gold"})
    assert protocol.receive_binary(b"\1\2") == [Began(call, audio, audio), Audio(b"\1\2")]
    assert protocol.receive_binary(b"") == [Ignored("empty_audio")]


def test_metadata_may_be_any_text() -> None:
    (began,) = StreamProtocol(StreamOptions(), HERE).receive_text("line 5")
    assert isinstance(began, Began)
    assert began.call == PhoneCall("freeswitch", "fallback", parameters={"metadata": "line 5"})


def test_a_raw_clip() -> None:
    assert clip(live(), b"\1\2") == {"audioDataType": "raw", "sampleRate": 16000, "audioData": "AQI="}


def test_a_wav_clip() -> None:
    data = clip(live(StreamOptions(playback="wav")), b"\1\2" * 320)
    assert data["audioDataType"] == "wav"
    assert decode_wav(base64.b64decode(data["audioData"])).tobytes() == b"\1\2" * 320


def test_binary_playback() -> None:
    assert live(StreamOptions(playback="binary")).play(b"\1\2") == [SendBinary(b"\1\2")]


def test_nothing_stops_a_clip_so_that_it_is_short() -> None:
    protocol = live()
    assert not protocol.traits.has_clear
    assert protocol.traits.packet_ms == 200
    silent = (protocol.clear(), protocol.mark("m"), protocol.press_keys("1"), protocol.hang_up("x"))
    assert [*silent, protocol.refused("x"), protocol.accepted(), protocol.connected()] == [[]] * 7


@pytest.mark.parametrize("rate", ["0", "24000"])
def test_another_rate_ends_the_connection(rate: str) -> None:
    protocol = StreamProtocol(StreamOptions(rate_hz=8_000 if rate != "0" else 0), Address("u", {"rate": rate}))
    with pytest.raises(ProtocolViolation) as violation:
        protocol.receive_binary(b"\0")
    assert violation.value.code == "bad_format"


def test_a_call_without_a_name_ends_the_connection() -> None:
    with pytest.raises(ProtocolViolation) as violation:
        StreamProtocol(StreamOptions(), Address()).receive_text("{}")
    assert violation.value.code == "missing_field"


@given(
    st.lists(
        st.binary(max_size=9)
        | st.text(max_size=40)
        | st.dictionaries(st.sampled_from(["uuid", "rate", "token", "x"]), st.none() | st.integers() | st.text()).map(
            json.dumps
        ),
        max_size=8,
    )
)
def test_any_messages_in_any_order(messages: list[str | bytes]) -> None:
    protocol = StreamProtocol(StreamOptions(), HERE)
    began = 0
    for message in messages:
        try:
            steps = protocol.receive_text(message) if isinstance(message, str) else protocol.receive_binary(message)
        except ProtocolViolation:
            return
        began += sum(isinstance(step, Began) for step in steps)
        assert began == 1
