"""Plivo's webhook: signatures as Plivo's own library checks them, and XML byte for byte."""

from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plivo.utils.signature_v3 import construct_get_url, construct_post_url, get_signature_v3, validate_v3_signature

from gateway.phone.messages import PhoneCall
from gateway.phone.plivo.answer import PlivoAnswer, dial
from gateway.phone.plivo.signature import is_signed, sign
from gateway.phone.webhook import BUSY_LINE, Incoming, Webhook
from voicegate.kernel.errors import RefusedCall

TOKEN, NONCE = "0123456789abcdef", "12345678901234567890"
HOME = "https://gate.example.com"
URL = f"{HOME}/phone/plivo/answer"
FIELDS = {"CallUUID": "C1", "From": "15551", "To": "15552", "Direction": "inbound", "CallStatus": "ringing"}
TEXT = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=6)


def theirs(url: str, fields: dict[str, str], method: str = "POST") -> str:
    build = construct_post_url(url, fields) if method == "POST" else construct_get_url(url, {})
    signature: bytes = get_signature_v3(TOKEN.encode(), build.decode(), NONCE.encode())
    return signature.decode()


def webhook(fields: dict[str, str] = FIELDS, *, query: str = "", method: str = "POST", signature: str = "") -> Webhook:
    posted = fields if method == "POST" else {}
    signed = signature or sign(TOKEN, URL + (f"?{query}" if query else ""), tuple(posted.items()), NONCE)
    headers = {"x-plivo-signature-v3": signed, "x-plivo-signature-v3-nonce": NONCE}
    body = urlencode(posted).encode()
    return Webhook(method, "/phone/plivo/answer", query, headers, body, HOME)


def rule(token: str = TOKEN) -> PlivoAnswer:
    return PlivoAnswer(token, content_type="audio/x-mulaw;rate=8000")


@given(st.dictionaries(TEXT, TEXT, max_size=5), st.dictionaries(TEXT, TEXT, max_size=3))
def test_our_signature_is_theirs(fields: dict[str, str], asked: dict[str, str]) -> None:
    url = URL + (f"?{urlencode(asked)}" if asked else "")
    assert sign(TOKEN, url, tuple(fields.items()), NONCE) == theirs(url, fields)
    assert validate_v3_signature("POST", url, NONCE, TOKEN, sign(TOKEN, url, tuple(fields.items()), NONCE), fields)
    assert sign(TOKEN, url, (), NONCE) == theirs(url, {}, "GET")


def test_one_of_several_signatures_is_enough() -> None:
    good = sign(TOKEN, URL, (), NONCE)
    assert is_signed(TOKEN, URL, (), NONCE, f"AAAA, {good}")
    assert not is_signed(TOKEN, URL, (), NONCE, "AAAA,wröng")
    assert not is_signed(TOKEN, URL, (), "", good)
    assert not is_signed("", URL, (), NONCE, good)


def test_a_call_is_connected_with_the_token_in_the_path() -> None:
    rule().verify(webhook(), 0.0)
    incoming = rule().read(webhook())
    assert incoming == Incoming(PhoneCall("plivo", "C1", caller="15551", called="15552", direction="inbound"))
    answer = rule().connect(incoming, stream_url="wss://gate.example.com/phone/plivo", token="t0k")
    assert answer.body.decode() == (
        '<?xml version="1.0" encoding="UTF-8"?><Response>'
        '<Stream bidirectional="true" keepCallAlive="true" contentType="audio/x-mulaw;rate=8000" '
        'streamTimeout="86400">wss://gate.example.com/phone/plivo/t0k</Stream></Response>'
    )
    assert rule().hang_up(incoming).body.endswith(b"<Response><Hangup/></Response>")
    assert rule().refuse(incoming).body.endswith(b'<Response><Hangup reason="busy"/></Response>')
    outbound = Incoming(PhoneCall("plivo", "C1", direction="outbound"))
    assert rule().refuse(outbound).body.endswith(f"<Speak>{BUSY_LINE}</Speak><Hangup/></Response>".encode())


def test_a_transferred_call_gets_the_verb_that_dials() -> None:
    assert dial("+1<555").body.endswith(b"<Response><Dial><Number>+1&lt;555</Number></Dial></Response>")


def test_a_get_asks_in_its_address() -> None:
    asked = webhook(query=f"CallUUID=C1&Direction=outbound&CallStatus=completed&From={quote('+1')}", method="GET")
    rule().verify(asked, 0.0)
    incoming = rule().read(asked)
    assert (incoming.call.direction, incoming.call.caller, incoming.over) == ("outbound", "+1", True)


@pytest.mark.parametrize("signature", ["AAAA", sign(TOKEN, URL + "x", tuple(FIELDS.items()), NONCE)])
def test_forgeries(signature: str) -> None:
    for each in (rule(), rule("")):
        with pytest.raises(RefusedCall) as raised:
            each.verify(webhook(signature=signature), 0.0)
        assert raised.value.code == "forged"


@pytest.mark.parametrize("body", [b"", b"From=1", b"\xff\xfe"])
def test_unreadable_webhooks(body: bytes) -> None:
    with pytest.raises(RefusedCall) as raised:
        rule().read(Webhook("POST", "/", "", {}, body, HOME))
    assert raised.value.code == "bad_webhook"
