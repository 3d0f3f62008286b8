"""What is Twilio's alone, byte for byte."""

import json

import pytest

from gateway.phone.messages import Began, Ignored, PhoneCall, PhoneFormat, ProtocolViolation, SendText
from gateway.phone.twilio.protocol import TwilioProtocol

CONNECTED = '{"event":"connected","protocol":"Call","version":"1.0.0"}'
START = (
    '{"event":"start","sequenceNumber":"1","streamSid":"MZ\\"1","start":{"accountSid":"AC1","streamSid":"MZ\\"1",'
    '"callSid":"CA1","tracks":["inbound"],"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1},'
    '"customParameters":{"token":"secret"}}}'
)


def test_start_names_the_call_and_holds_our_token() -> None:
    protocol = TwilioProtocol(returns=True)
    assert protocol.receive_text(CONNECTED) == (Ignored("connected"),)
    audio = PhoneFormat("pcmu", 8_000)
    call = PhoneCall("twilio", "CA1", 'MZ"1', account_id="AC1", token="secret")
    assert protocol.receive_text(START) == (Began(call, audio, audio),)
    assert "secret" not in repr(call)


def test_what_we_send() -> None:
    protocol = TwilioProtocol(returns=True)
    protocol.receive_text(START)
    assert protocol.play(b"\x00\xff\x7f") == (
        SendText(b'{"event":"media","streamSid":"MZ\\"1","media":{"payload":"AP9/"}}'),
    )
    assert protocol.mark('m"1') == (SendText(b'{"event":"mark","streamSid":"MZ\\"1","mark":{"name":"m\\"1"}}'),)
    assert protocol.clear() == (SendText(b'{"event":"clear","streamSid":"MZ\\"1"}'),)
    assert protocol.press_keys("12") == ()


@pytest.mark.parametrize(
    "change",
    [{"encoding": "audio/x-l16"}, {"sampleRate": 16_000}, {"channels": 2}, {"sampleRate": "8000"}],
)
def test_another_format_is_refused(change: dict[str, object]) -> None:
    message = json.loads(START)
    message["start"]["mediaFormat"] |= change
    with pytest.raises(ProtocolViolation) as raised:
        TwilioProtocol(returns=True).receive_text(json.dumps(message))
    assert raised.value.code == "bad_format"


def test_a_broken_stream_comes_back_where_our_answer_said_so() -> None:
    assert TwilioProtocol(returns=True).traits.returns
    assert not TwilioProtocol(returns=False).traits.returns
