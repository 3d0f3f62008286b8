"""What each carrier asks, shows and opens: forms, signatures, addresses, and the leg that comes of an answer."""

import base64
import json
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from voicegate.client.carriers.answers import AnswerNotUnderstood, EndOrder, StreamOrder
from voicegate.client.carriers.legs import open_leg
from voicegate.client.carriers.proofs import Freshness, read_answer, upgrade, uuid_question, webhook
from voicegate.client.carriers.target import BY_WEBHOOK, PHONES, PhoneTarget, PhoneVia

FRESH = Freshness(1_700_000_000, "n" * 24)
PUBLIC = "https://voice.example.com"
ORDER = StreamOrder("wss://voice.example.com/phone/x/t?a=1", {"token": "t"})


def target(via: PhoneVia, **fields: Any) -> PhoneTarget:
    return PhoneTarget(via, "http://127.0.0.1:8000", public_url=PUBLIC, **fields)


SECRETS: dict[str, str] = {
    "telnyx": base64.b64encode(Ed25519PrivateKey.generate().private_bytes_raw()).decode(),
    "genesys": base64.b64encode(b"secret").decode(),
}


@pytest.mark.parametrize("via", BY_WEBHOOK)
@pytest.mark.parametrize("signed", [True, False])
def test_a_webhook_names_the_call(via: PhoneVia, signed: bool) -> None:
    carrier = target(via, secret=SECRETS.get(via, "s" * 32) if signed else "")
    facts = carrier.facts()
    request = webhook(carrier, facts, f"{PUBLIC}/phone/{via}/answer", FRESH)
    body = request.body.decode()
    fields = json.loads(body) if via == "vonage" else {name: value[0] for name, value in parse_qs(body).items()}
    assert facts.call_id in fields.values()
    assert any(value.removeprefix("+") == facts.caller.removeprefix("+") for value in fields.values())
    assert (len(request.headers) > 1) == signed


@pytest.mark.parametrize("via", PHONES)
def test_ids_have_the_carriers_shape_and_are_new(via: PhoneVia) -> None:
    first, second = target(via).facts(), target(via).facts()
    assert first.call_id != second.call_id
    assert target(via, call_id="mine").facts().call_id == "mine"
    if via == "twilio":
        assert (first.call_id[:2], len(first.call_id), first.stream_id[:2]) == ("CA", 34, "MZ")


def test_upgrades() -> None:
    facts = target("twilio").facts()
    twilio = upgrade(target("twilio", secret="s"), facts, ORDER, FRESH)
    assert twilio.url == "wss://voice.example.com/phone/x/t", "Twilio drops the query"
    assert "X-Twilio-Signature" in twilio.headers
    assert upgrade(target("twilio"), facts, ORDER, FRESH).headers == {}
    assert upgrade(target("plivo"), facts, ORDER, FRESH).protocols == ("audio.plivo.com",)
    assert upgrade(target("telnyx"), facts, ORDER, FRESH).url == ORDER.url
    genesys = upgrade(target("genesys", secret=SECRETS["genesys"], key="k"), facts, None, FRESH)
    assert {"x-api-key", "audiohook-session-id", "Signature", "Signature-Input"} <= set(genesys.headers)
    unsigned = upgrade(target("genesys", key="k"), facts, None, FRESH)
    assert "Signature" not in unsigned.headers
    assert unsigned.url == "wss://voice.example.com/phone/genesys"


@pytest.mark.parametrize("via", ["jambonz", "asterisk", "exotel", "freeswitch"])
def test_private_exchanges_show_a_password_or_a_token(via: PhoneVia) -> None:
    facts = target(via).facts()
    shown = upgrade(target(via, secret="user:word", key="a/b"), facts, None, FRESH)
    assert shown.headers == {"Authorization": "Basic " + base64.b64encode(b"user:word").decode()}
    assert shown.url == f"wss://voice.example.com/phone/{via}/a%2Fb"
    assert upgrade(target(via), facts, None, FRESH).headers == {}


def test_parameters_in_the_address() -> None:
    facts = replace(target("asterisk").facts(), parameters={"session": "a b"})
    assert upgrade(target("asterisk"), facts, None, FRESH).url.endswith("/phone/asterisk?session=a+b")
    assert upgrade(target("exotel", format="16000"), facts, None, FRESH).url.endswith("?sample-rate=16000")
    question = uuid_question(target("audiosocket", secret="u:p"), facts)
    assert parse_qs(question.body.decode()) == {"caller": [facts.caller], "called": [facts.called]}


def test_what_the_gateway_calls_public_is_reached_where_it_is() -> None:
    carrier = target("twilio")
    assert carrier.reachable("wss://voice.example.com/phone/x") == "ws://127.0.0.1:8000/phone/x"
    assert carrier.reachable("https://voice.example.com/phone/x") == "http://127.0.0.1:8000/phone/x"
    assert carrier.reachable("wss://voice.example.com.evil.net/x") == "wss://voice.example.com.evil.net/x"
    assert PhoneTarget("twilio", "127.0.0.1:1").base(socket=True) == "ws://127.0.0.1:1"


@pytest.mark.parametrize(
    ("via", "text"), [("twilio", "<Response/>"), ("plivo", "<Response/>"), ("vonage", "[]"), ("telnyx", "<Response/>")]
)
def test_every_carrier_reads_its_own_answer(via: PhoneVia, text: str) -> None:
    assert isinstance(read_answer(target(via), text), EndOrder)


@pytest.mark.parametrize("via", PHONES)
def test_every_carrier_has_a_leg(via: PhoneVia) -> None:
    attributes = {
        "bidirectionalMode": "rtp",
        "bidirectional": "true",
        "contentType": "audio/x-mulaw;rate=8000",
        "content-type": "audio/l16;rate=24000",
    }
    leg = open_leg(target(via), target(via).facts(), replace(ORDER, attributes=attributes))
    assert leg.rate_hz == (24_000 if via == "vonage" else 8_000)
    assert open_leg(target("exotel", format="16000"), target(via).facts(), None).rate_hz == 16_000


@pytest.mark.parametrize(
    ("via", "attributes", "form"),
    [
        ("telnyx", {}, ""),
        ("telnyx", {"bidirectionalMode": "rtp", "bidirectionalCodec": "G722"}, ""),
        ("telnyx", {"bidirectionalMode": "rtp"}, "AMR-WB"),
        ("plivo", {}, ""),
        ("plivo", {"bidirectional": "true", "contentType": "audio/mp3"}, ""),
        ("vonage", {}, ""),
        ("vonage", {"content-type": "audio/l16;rate=44100"}, ""),
    ],
)
def test_an_answer_that_asks_for_what_the_carrier_has_not(via: PhoneVia, attributes: dict[str, str], form: str) -> None:
    carrier = target(via, format=form)
    with pytest.raises(AnswerNotUnderstood):
        open_leg(carrier, carrier.facts(), replace(ORDER, attributes=attributes))
