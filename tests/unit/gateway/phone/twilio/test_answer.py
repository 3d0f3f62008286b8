"""Twilio's webhook: signatures as Twilio's own library makes and checks them, and TwiML byte for byte."""

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator
from twilio.twiml.voice_response import VoiceResponse

from gateway.phone.messages import PhoneCall
from gateway.phone.protocol import Upgrade
from gateway.phone.twilio.answer import TwilioAnswer
from gateway.phone.twilio.carrier import TwilioConfig, twilio
from gateway.phone.twilio.signature import is_signed, sign, variants
from gateway.phone.webhook import BUSY_LINE, Incoming, Webhook
from voicegate.kernel.errors import RefusedCall

TOKEN = "0123456789abcdef"
THEIRS = RequestValidator(TOKEN)
HOME = "https://gate.example.com"
FIELDS = {"CallSid": "CA1", "From": "+1 555", "To": "+15552", "CallStatus": "ringing", "Direction": "inbound", "Ü": ""}


def webhook(fields: dict[str, str], *, query: str = "", signed_for: str | None = None, method: str = "POST") -> Webhook:
    url = signed_for or f"{HOME}/phone/twilio/answer" + (f"?{query}" if query else "")
    posted = fields if method == "POST" else {}
    headers = {"x-twilio-signature": THEIRS.compute_signature(url, posted)}
    body = urlencode(fields).encode() if method == "POST" else b""
    return Webhook(method, "/phone/twilio/answer", query, headers, body, HOME)


def refused(rule: TwilioAnswer, request: Webhook) -> str:
    try:
        rule.verify(request, 0.0)
        rule.read(request)
    except RefusedCall as refusal:
        return refusal.code
    return "taken"


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=6), st.sampled_from(["", "?returned=1"]))
def test_our_signature_is_theirs(fields: dict[str, str], query: str) -> None:
    url = f"{HOME}/phone/twilio/answer{query}"
    try:
        wanted = THEIRS.compute_signature(url, fields)
    except UnicodeEncodeError:
        return
    assert sign(TOKEN, url, fields.items()) == wanted
    assert is_signed(TOKEN, url, tuple(fields.items()), wanted)


@pytest.mark.parametrize(
    "signed_for",
    [
        f"{HOME}/phone/twilio/answer",
        f"{HOME}:443/phone/twilio/answer",
        f"{HOME}/phone/twilio/answer/",
        f"{HOME}:443/phone/twilio/answer/",
    ],
)
def test_every_way_to_write_our_address_is_taken(signed_for: str) -> None:
    TwilioAnswer(TOKEN).verify(webhook(FIELDS, signed_for=signed_for), 0.0)


@pytest.mark.parametrize(
    "signed_for",
    [
        "https://evil.example.com/phone/twilio/answer",
        "http://gate.example.com/phone/twilio/answer",
        f"{HOME}/phone/twilio/answer?x=1",
        f"{HOME}:8443/phone/twilio/answer",
        f"{HOME}/phone/plivo/answer",
    ],
)
def test_another_address_is_forged(signed_for: str) -> None:
    assert refused(TwilioAnswer(TOKEN), webhook(FIELDS, signed_for=signed_for)) == "forged"


def test_forgeries() -> None:
    good = webhook(FIELDS)
    other = Webhook(good.method, good.path, good.query, good.headers, good.body + b"&x=1", HOME)
    bare = Webhook(good.method, good.path, good.query, {}, good.body, HOME)
    wrong = Webhook(good.method, good.path, good.query, {"x-twilio-signature": "wröng"}, good.body, HOME)
    assert [refused(TwilioAnswer(TOKEN), each) for each in (other, bare, wrong)] == ["forged"] * 3
    assert refused(TwilioAnswer("another"), good) == "forged"
    assert refused(TwilioAnswer(""), webhook(FIELDS)) == "forged", "without a secret nothing is good"


def test_a_call_is_connected_and_comes_back_to_us() -> None:
    rule = TwilioAnswer(TOKEN)
    incoming = rule.read(webhook(FIELDS))
    assert incoming == Incoming(PhoneCall("twilio", "CA1", caller="+1 555", called="+15552", direction="inbound"))
    answer = rule.connect(incoming, stream_url="wss://gate.example.com/phone/twilio", token="a<b")
    assert answer.content_type == "text/xml"
    assert answer.body.decode() == (
        '<?xml version="1.0" encoding="UTF-8"?><Response>'
        '<Connect action="https://gate.example.com/phone/twilio/answer?returned=1" method="POST">'
        '<Stream url="wss://gate.example.com/phone/twilio"><Parameter name="token" value="a&lt;b"/></Stream>'
        "</Connect></Response>"
    )
    assert rule.hang_up(incoming).body.endswith(b"<Response><Hangup/></Response>")


def test_a_call_that_cannot_be_taken_gets_a_busy_tone_and_one_that_was_answered_a_line() -> None:
    busy, line = VoiceResponse(), VoiceResponse()
    busy.reject(reason="busy")
    line.say(BUSY_LINE)
    line.hangup()
    rule, ringing = TwilioAnswer(TOKEN), PhoneCall("twilio", "CA1", direction="inbound")
    told = [
        rule.refuse(each).body.decode().replace("/>", " />")
        for each in (
            Incoming(ringing),
            Incoming(ringing, returned=True),
            Incoming(PhoneCall("twilio", "CA1", direction="outbound")),
        )
    ]
    assert told == [str(busy), str(line), str(line)], "as Twilio's library writes it"


@pytest.mark.parametrize(
    ("status", "query", "returned", "over"),
    [
        ("ringing", "", False, False),
        ("in-progress", "returned=1", True, False),
        ("completed", "returned=1", True, True),
        ("canceled", "", False, True),
    ],
)
def test_coming_back_and_being_over(status: str, query: str, returned: bool, over: bool) -> None:
    request = webhook(FIELDS | {"CallStatus": status}, query=query)
    TwilioAnswer(TOKEN).verify(request, 0.0)
    incoming = TwilioAnswer(TOKEN).read(request)
    assert (incoming.returned, incoming.over) == (returned, over)


def test_a_get_is_signed_by_its_address_alone() -> None:
    request = webhook({}, query="CallSid=CA1&Direction=outbound-api", method="GET")
    TwilioAnswer(TOKEN).verify(request, 0.0)
    assert TwilioAnswer(TOKEN).read(request).call.direction == "outbound"


def test_unreadable_webhooks() -> None:
    assert refused(TwilioAnswer(TOKEN), webhook({"From": "1"})) == "bad_webhook"
    broken = Webhook("POST", "/phone/twilio/answer", "", {}, b"\xff\xfe", HOME)
    with pytest.raises(RefusedCall) as raised:
        TwilioAnswer(TOKEN).verify(broken, 0.0)
    assert raised.value.code == "bad_webhook"


def test_an_upgrade_is_signed_for_the_wss_address() -> None:
    carrier = twilio(TwilioConfig("AC1", TOKEN))
    signature = THEIRS.compute_signature("wss://gate.example.com/phone/twilio", {})
    good = Upgrade("/phone/twilio", headers={"x-twilio-signature": signature}, public_url=HOME)
    assert carrier.vouch(good, 0.0) is False, "the token says which call it is"
    for headers in ({}, {"x-twilio-signature": THEIRS.compute_signature(f"{HOME}/phone/twilio", {})}):
        with pytest.raises(RefusedCall) as raised:
            carrier.vouch(Upgrade("/phone/twilio", headers=headers, public_url=HOME), 0.0)
        assert raised.value.code == "forged"
    free = twilio(TwilioConfig())
    assert free.vouch(Upgrade("/phone/twilio"), 0.0) is False
    assert carrier.guarded
    assert not free.guarded
    assert free.open(Upgrade("/phone/twilio")).traits.returns


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("wss://a.b/c", {"wss://a.b/c", "wss://a.b/c/", "wss://a.b:443/c", "wss://a.b:443/c/"}),
        ("https://a.b:443/c", {"https://a.b/c", "https://a.b/c/", "https://a.b:443/c", "https://a.b:443/c/"}),
        ("http://[::1]:9/c/?x=1", {"http://[::1]:9/c/?x=1", "http://[::1]:9/c?x=1"}),
        ("http://[::1]/c", {"http://[::1]/c", "http://[::1]/c/", "http://[::1]:80/c", "http://[::1]:80/c/"}),
    ],
)
def test_variants(url: str, wanted: set[str]) -> None:
    assert set(variants(url)) == wanted
