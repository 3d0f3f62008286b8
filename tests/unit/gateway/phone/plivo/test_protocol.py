"""What is Plivo's alone, byte for byte."""

import pytest

from gateway.phone.messages import Began, Cleared, PhoneFormat, ProtocolViolation, SendText
from gateway.phone.plivo.carrier import PlivoConfig, plivo
from gateway.phone.plivo.protocol import PlivoProtocol
from gateway.phone.protocol import Upgrade

START = (
    '{"event":"start","sequenceNumber":0,"start":{"callId":"C1","streamId":"S1","accountId":"A1","tracks":["inbound"],'
    '"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000}},"extra_headers":"session=abc"}'
)


def test_what_we_send() -> None:
    protocol = PlivoProtocol()
    protocol.receive_text(START)
    assert protocol.play(b"\x00\xff\x7f") == (
        SendText(b'{"event":"playAudio","media":{"contentType":"audio/x-mulaw","sampleRate":8000,"payload":"AP9/"}}'),
    )
    assert protocol.mark("m1") == (SendText(b'{"event":"checkpoint","streamId":"S1","name":"m1"}'),)
    assert protocol.clear() == (SendText(b'{"event":"clearAudio","streamId":"S1"}'),)
    assert protocol.press_keys("12#") == (SendText(b'{"event":"sendDTMF","dtmf":"12#"}'),)
    assert protocol.receive_text('{"event":"clearedAudio","streamId":"S1"}') == (Cleared(),)


@pytest.mark.parametrize(
    ("encoding", "rate", "big", "audio"),
    [
        ("audio/x-mulaw", 8_000, False, PhoneFormat("pcmu", 8_000)),
        ("audio/x-l16", 8_000, False, PhoneFormat("pcm16", 8_000)),
        ("audio/x-l16", 16_000, False, PhoneFormat("pcm16", 16_000)),
        ("audio/x-l16", 16_000, True, PhoneFormat("l16", 16_000)),
    ],
)
def test_formats(encoding: str, rate: int, big: bool, audio: PhoneFormat) -> None:
    text = START.replace("audio/x-mulaw", encoding).replace("8000", str(rate))
    (began,) = PlivoProtocol(big_endian=big).receive_text(text)
    assert isinstance(began, Began)
    assert (began.heard, began.spoken, dict(began.call.parameters)) == (audio, audio, {"session": "abc"})


@pytest.mark.parametrize("change", [("audio/x-mulaw", "audio/opus"), ("8000", "24000"), ("8000", '"x"')])
def test_another_format_is_refused(change: tuple[str, str]) -> None:
    with pytest.raises(ProtocolViolation) as raised:
        PlivoProtocol().receive_text(START.replace(*change))
    assert raised.value.code == "bad_format"


def test_an_upgrade_proves_nothing_and_the_subprotocol_is_theirs() -> None:
    carrier = plivo(PlivoConfig(auth_token="t"))
    assert carrier.guarded
    assert carrier.subprotocols == ("audio.plivo.com",)
    assert carrier.vouch(Upgrade("/phone/plivo"), 0.0) is False
    assert carrier.open(Upgrade("/phone/plivo")).traits.has_keys
