"""What is Exotel's alone, byte for byte."""

import base64
import json

import pytest

from gateway.phone.exotel.carrier import ExotelAnswer, ExotelConfig, exotel
from gateway.phone.exotel.protocol import ExotelProtocol
from gateway.phone.messages import Began, Ignored, PhoneCall, PhoneFormat, ProtocolViolation, SendText
from gateway.phone.protocol import Upgrade
from gateway.phone.webhook import Answer, Incoming, Webhook
from voicegate.kernel.errors import RefusedCall

START = (
    '{"event":"start","sequence_number":1,"stream_sid":"S1","start":{"stream_sid":"S1","call_sid":"C1",'
    '"account_sid":"A1","from":"+15551","to":"+15552","custom_parameters":{"token":"t"},'
    '"media_format":{"encoding":"base64","sample_rate":"8000","bit_rate":"128kbps"}}}'
)
BASIC = "Basic " + base64.b64encode(b"gate:s3cret").decode()
CONFIG = ExotelConfig("gate", "s3cret")


@pytest.mark.parametrize(("rate", "packet_ms"), [(8_000, 200), (16_000, 100), (24_000, 80)])
def test_packets_are_as_long_as_exotel_wants_them(rate: int, packet_ms: int) -> None:
    protocol = ExotelProtocol()
    (began,) = protocol.receive_text(START.replace("8000", str(rate)))
    assert isinstance(began, Began)
    assert began.heard == began.spoken == PhoneFormat("pcm16", rate)
    assert (protocol.traits.packet_ms, protocol.traits.least_ms) == (packet_ms, packet_ms)
    size = rate * packet_ms // 1000 * 2
    assert size >= 3_200
    assert size % 320 == 0


def test_another_rate_is_refused() -> None:
    with pytest.raises(ProtocolViolation) as raised:
        ExotelProtocol().receive_text(START.replace("8000", "44100"))
    assert raised.value.code == "bad_format"


def test_what_we_send() -> None:
    protocol = ExotelProtocol()
    assert protocol.receive_text('{"event":"connected"}') == (Ignored("connected"),)
    protocol.receive_text(START)
    assert protocol.play(b"\x00\xff\x7f") == (
        SendText(b'{"event":"media","stream_sid":"S1","media":{"payload":"AP9/"}}'),
    )
    assert protocol.mark("m1") == (SendText(b'{"event":"mark","stream_sid":"S1","mark":{"name":"m1"}}'),)
    assert protocol.clear() == (SendText(b'{"event":"clear","stream_sid":"S1"}'),)
    assert protocol.press_keys("1") == ()
    assert protocol.traits.session_s == 3600


def test_the_credentials_of_the_address_prove_a_stream() -> None:
    carrier = exotel(CONFIG)
    assert carrier.vouch(Upgrade("/", headers={"authorization": BASIC}), 0.0) is True
    assert carrier.vouch(Upgrade("/"), 0.0) is False
    with pytest.raises(RefusedCall) as raised:
        carrier.vouch(Upgrade("/", headers={"authorization": BASIC[:-1]}), 0.0)
    assert raised.value.code == "forged"
    assert exotel(ExotelConfig()).vouch(Upgrade("/", headers={"authorization": BASIC}), 0.0) is False
    assert not exotel(ExotelConfig()).guarded
    assert isinstance(carrier.open(Upgrade("/")), ExotelProtocol)


def webhook(query: str = "", body: bytes = b"", method: str = "GET", authorization: str = BASIC) -> Webhook:
    headers = {"authorization": authorization}
    return Webhook(method, "/phone/exotel/answer", query, headers, body, "https://gate.example.com")


def test_the_applet_asks_for_the_address() -> None:
    rule = ExotelAnswer(CONFIG)
    asked = webhook("CallSid=C1&CallFrom=%2B15551&CallTo=%2B15552&Direction=incoming")
    rule.verify(asked, 0.0)
    incoming = rule.read(asked)
    assert incoming == Incoming(PhoneCall("exotel", "C1", caller="+15551", called="+15552", direction="inbound"))
    answer = rule.connect(incoming, stream_url="wss://gate.example.com/phone/exotel", token="t0k")
    assert answer == Answer("application/json", b'{"url":"wss://gate.example.com/phone/exotel/t0k"}')
    assert json.loads(rule.hang_up(incoming).body) == {}
    assert rule.refuse(incoming) is None  # type: ignore[func-returns-value]  # the port allows an answer
    posted = webhook(body=b"CallSid=C2&From=1&To=2&Direction=outbound-dial", method="POST")
    assert rule.read(posted).call == PhoneCall("exotel", "C2", caller="1", called="2", direction="outbound")


@pytest.mark.parametrize("config", [CONFIG, ExotelConfig()])
def test_a_webhook_without_the_credentials_is_forged(config: ExotelConfig) -> None:
    with pytest.raises(RefusedCall) as raised:
        ExotelAnswer(config).verify(webhook(authorization="Basic Og=="), 0.0)
    assert raised.value.code == "forged"


@pytest.mark.parametrize("asked", [webhook(), webhook(method="POST", body=b"\xff\xfe=1")])
def test_a_webhook_without_a_call_is_refused(asked: Webhook) -> None:
    with pytest.raises(RefusedCall) as raised:
        ExotelAnswer(CONFIG).read(asked)
    assert raised.value.code == "bad_webhook"
