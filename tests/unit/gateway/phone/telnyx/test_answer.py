"""Telnyx's webhook: Ed25519 made by the library that checks it, and TeXML byte for byte."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.phone.messages import PhoneCall
from gateway.phone.telnyx.answer import TelnyxAnswer
from gateway.phone.telnyx.signature import STALE_S, read_public_key
from gateway.phone.webhook import BUSY_LINE, Incoming, Webhook
from voicegate.kernel.errors import ConfigError, RefusedCall

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = base64.b64encode(PRIVATE.public_key().public_bytes_raw()).decode()
NOW = 1_800_000_000.0
BODY = b"CallSid=v3%3AC1&From=%2B15551&To=%2B15552&CallStatus=ringing&Direction=inbound&AccountSid=A1"


def rule(key: str = PUBLIC) -> TelnyxAnswer:
    return TelnyxAnswer(read_public_key(key), codec="L16", rate_hz=16_000)


def webhook(body: bytes = BODY, *, at: str = f"{NOW:.0f}", signed: bytes | None = None) -> Webhook:
    signature = base64.b64encode(PRIVATE.sign(at.encode() + b"|" + (body if signed is None else signed))).decode()
    headers = {"telnyx-timestamp": at, "telnyx-signature-ed25519": signature}
    return Webhook("POST", "/phone/telnyx/answer", "", headers, body, "https://gate.example.com")


def test_a_signed_webhook_is_connected() -> None:
    rule().verify(webhook(), NOW + STALE_S - 1)
    incoming = rule().read(webhook())
    call = PhoneCall("telnyx", "v3:C1", account_id="A1", caller="+15551", called="+15552", direction="inbound")
    assert incoming == Incoming(call)
    answer = rule().connect(incoming, stream_url="wss://gate.example.com/phone/telnyx", token="t0k")
    assert answer.body.decode() == (
        '<?xml version="1.0" encoding="UTF-8"?><Response><Connect>'
        '<Stream url="wss://gate.example.com/phone/telnyx" bidirectionalMode="rtp" '
        'bidirectionalCodec="L16" bidirectionalSamplingRate="16000">'
        '<Parameter name="token" value="t0k"/></Stream></Connect></Response>'
    )
    assert rule().hang_up(incoming).body.endswith(b"<Response><Hangup/></Response>")
    assert rule().refuse(incoming).body.endswith(b'<Response><Reject reason="busy"/></Response>')
    outbound = Incoming(PhoneCall("telnyx", "C1", direction="outbound"))
    assert rule().refuse(outbound).body.endswith(f"<Say>{BUSY_LINE}</Say><Hangup/></Response>".encode())


def test_the_control_id_comes_first_and_an_ended_call_is_over() -> None:
    body = b"CallSid=C1&CallControlId=v3:X&CallStatus=completed&Direction=outbound"
    incoming = rule().read(webhook(body))
    assert (incoming.call.call_id, incoming.call.direction, incoming.over) == ("v3:X", "outbound", True)


@pytest.mark.parametrize(
    "request_",
    [
        webhook(signed=BODY + b"x"),
        webhook(at=f"{NOW - STALE_S - 1:.0f}"),
        webhook(at=f"{NOW + STALE_S + 1:.0f}"),
        webhook(at="soon"),
        webhook(at="9" * 13),
        Webhook("POST", "/", "", {}, BODY, ""),
        Webhook("POST", "/", "", {"telnyx-timestamp": f"{NOW:.0f}", "telnyx-signature-ed25519": "é"}, BODY, ""),
    ],
)
def test_forgeries(request_: Webhook) -> None:
    with pytest.raises(RefusedCall) as raised:
        rule().verify(request_, NOW)
    assert raised.value.code == "forged"


def test_without_a_key_nothing_is_good() -> None:
    with pytest.raises(RefusedCall) as raised:
        rule("").verify(webhook(), NOW)
    assert raised.value.code == "forged"


@pytest.mark.parametrize("key", ["AAAA", "not base64!", PUBLIC + "AAAA"])
def test_a_key_that_is_none_is_named(key: str) -> None:
    with pytest.raises(ConfigError, match=r"32 bytes"):
        read_public_key(key)


@pytest.mark.parametrize("body", [b"", b"From=1", b"\xff\xfe"])
def test_unreadable_webhooks(body: bytes) -> None:
    with pytest.raises(RefusedCall) as raised:
        rule().read(webhook(body))
    assert raised.value.code == "bad_webhook"
