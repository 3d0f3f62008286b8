"""What is Telnyx's alone, byte for byte."""

import base64
import json
from typing import Any

import pytest

from gateway.phone.messages import Audio, Began, Ignored, PhoneFormat, ProtocolViolation, SendText
from gateway.phone.protocol import Upgrade
from gateway.phone.telnyx.carrier import TelnyxConfig, telnyx
from gateway.phone.telnyx.protocol import TelnyxProtocol
from voicegate.kernel.errors import ConfigError, RefusedCall

START = (
    '{"event":"start","sequence_number":"1","stream_id":"S1","start":{"user_id":"U1","call_control_id":"v2:C1",'
    '"from":"+15551","to":"+15552","custom_parameters":{},'
    '"media_format":{"encoding":"PCMU","sample_rate":8000,"channels":1}}}'
)


MU_LAW = PhoneFormat("pcmu", 8_000)


def protocol_for(spoken: PhoneFormat = MU_LAW, *, little_endian: bool = False) -> TelnyxProtocol:
    return TelnyxProtocol(spoken, little_endian=little_endian, returns=False)


def began_with(encoding: str, rate: int, **options: Any) -> Any:
    text = START.replace('"PCMU"', json.dumps(encoding)).replace("8000", str(rate))
    (began,) = protocol_for(**options).receive_text(text)
    return began


def chunk(number: object, payload: bytes) -> str:
    media = {"track": "inbound", "chunk": number, "payload": base64.b64encode(payload).decode()}
    return json.dumps({"event": "media", "stream_id": "S1", "media": media})


@pytest.mark.parametrize(
    ("encoding", "rate", "little", "heard"),
    [
        ("PCMU", 8_000, False, PhoneFormat("pcmu", 8_000)),
        ("pcma", 8_000, False, PhoneFormat("pcma", 8_000)),
        ("L16", 16_000, False, PhoneFormat("l16", 16_000)),
        ("L16", 16_000, True, PhoneFormat("pcm16", 16_000)),
        ("OPUS", 16_000, False, PhoneFormat("opus", 16_000)),
    ],
)
def test_the_leg_says_what_we_hear_and_we_say_what_we_speak(
    encoding: str, rate: int, little: bool, heard: PhoneFormat
) -> None:
    spoken = PhoneFormat("l16", 24_000)
    began = began_with(encoding, rate, spoken=spoken, little_endian=little)
    assert isinstance(began, Began)
    assert (began.heard, began.spoken) == (heard, spoken)
    assert (began.call.call_id, began.call.caller, began.call.called) == ("v2:C1", "+15551", "+15552")


@pytest.mark.parametrize(("encoding", "rate"), [("G722", 8_000), ("AMR-WB", 16_000), ("PCMU", 44_100), ("", 8_000)])
def test_a_codec_that_is_not_decoded_is_refused(encoding: str, rate: int) -> None:
    with pytest.raises(ProtocolViolation) as raised:
        began_with(encoding, rate)
    assert raised.value.code == "bad_format"


def test_chunks_are_put_into_order() -> None:
    protocol = protocol_for()
    protocol.receive_text(START)
    steps = [step for number in (1, 3, "2", 4) for step in protocol.receive_text(chunk(number, bytes([int(number)])))]
    assert steps == [Audio(b"\1"), Audio(b"\2"), Audio(b"\3"), Audio(b"\4")]
    assert protocol.receive_text(chunk(2, b"\2")) == (Ignored("late_media"),)
    assert protocol.receive_text(chunk(None, b"\5")) == (Audio(b"\5"),)


def test_a_field_of_another_kind_costs_no_audio() -> None:
    """It is read with care: what cannot be a time is none."""
    protocol = protocol_for()
    protocol.receive_text(START)
    odd = json.loads(chunk(1, b"\1"))
    odd["media"]["timestamp"] = {"seconds": 3}
    assert list(protocol.receive_text(json.dumps(odd))) == [Audio(b"\1")]


def test_what_we_send() -> None:
    protocol = protocol_for()
    assert protocol.receive_text('{"event":"connected","version":"1.0.0"}') == (Ignored("connected"),)
    protocol.receive_text(START)
    assert protocol.play(b"\x00\xff\x7f") == (SendText(b'{"event":"media","media":{"payload":"AP9/"}}'),)
    assert protocol.mark("m1") == (SendText(b'{"event":"mark","mark":{"name":"m1"}}'),)
    assert protocol.clear() == (SendText(b'{"event":"clear"}'),)
    assert protocol.press_keys("1") == ()
    error = '{"event":"error","stream_id":"S1","payload":{"code":100002}}'
    assert protocol.receive_text(error) == (Ignored("carrier_error"),)


def test_opus_has_one_packet_a_message() -> None:
    assert protocol_for(spoken=PhoneFormat("opus", 48_000)).traits.packet_ms == 20
    assert protocol_for().traits.packet_ms > 20


@pytest.mark.parametrize("options", [{"codec": "G722"}, {"codec": "L16", "rate_hz": 44_100}, {"public_key": "AAAA"}])
def test_wrong_settings_are_named(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"Telnyx"):
        telnyx(TelnyxConfig(**options))


def test_what_is_spoken_follows_the_settings() -> None:
    carrier = telnyx(TelnyxConfig(codec="L16", rate_hz=16_000, l16_order="little"))
    (began,) = carrier.open(Upgrade("/phone/telnyx")).receive_text(START)
    assert isinstance(began, Began)
    assert began.spoken == PhoneFormat("pcm16", 16_000)


def test_a_stream_token_of_the_settings_proves_a_stream() -> None:
    carrier = telnyx(TelnyxConfig(stream_token="s3cret"))
    assert carrier.guarded
    assert carrier.vouch(Upgrade("/", headers={"x-telnyx-streaming-auth-token": "s3cret"}), 0.0) is True
    assert carrier.vouch(Upgrade("/"), 0.0) is False
    for config in (TelnyxConfig(stream_token="s3cret"), TelnyxConfig()):
        with pytest.raises(RefusedCall) as raised:
            telnyx(config).vouch(Upgrade("/", headers={"x-telnyx-streaming-auth-token": "wröng"}), 0.0)
        assert raised.value.code == "forged"
