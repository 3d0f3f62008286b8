"""Vonage's answer webhook: questions as JSON, form and query; the NCCO byte for byte."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.phone.messages import Once, PhoneCall
from gateway.phone.vonage.answer import VonageAnswer
from gateway.phone.vonage.signature import VonageKeys
from gateway.phone.webhook import BUSY_LINE, Incoming, Webhook
from voicegate.client.carriers.signatures import vonage as token_of
from voicegate.kernel.errors import RefusedCall

NOW = 1_700_000_000
SECRET = "the-signature-secret-of-the-account"
RULE = VonageAnswer(VonageKeys([SECRET]))
BODY = b'{"from":"441632960960","to":"441632960961","uuid":"63f61863","conversation_uuid":"CON-1"}'
CALL = PhoneCall(
    "vonage", "63f61863", stream_id="CON-1", caller="441632960960", called="441632960961", direction="inbound"
)


def post(body: bytes = BODY, content_type: str = "application/json; charset=utf-8", **headers: str) -> Webhook:
    return Webhook(
        "POST", "/phone/vonage/answer", "", {"content-type": content_type, **headers}, body, "https://v.example"
    )


def get(query: str, **headers: str) -> Webhook:
    return Webhook("GET", "/phone/vonage/answer", query, headers, b"", "https://v.example")


def bearer(payload: bytes) -> str:
    return "Bearer " + token_of(SECRET, payload, issued_at=NOW, token_id="jti-1", application="app")


def test_a_signed_question_is_good_once() -> None:
    assert RULE.verify(post(authorization=bearer(BODY)), NOW) == Once("vonage:jti-1", NOW + 331)


def test_of_a_get_the_query_is_signed() -> None:
    signed = bearer(b'{"uuid":"63f61863","to":"+1"}')
    RULE.verify(get("uuid=63f61863&to=%2B1", authorization=signed), NOW)
    with pytest.raises(RefusedCall):
        RULE.verify(get("uuid=63f61863&to=%2B2", authorization=signed), NOW)


@pytest.mark.parametrize("request_", [post(), get("a=1"), get("&".join("a=1" for _ in range(999)))])
def test_an_unsigned_question_is_refused(request_: Webhook) -> None:
    with pytest.raises(RefusedCall) as refusal:
        RULE.verify(request_, NOW)
    assert refusal.value.code == "forged"


def test_without_a_secret_all_are_refused() -> None:
    with pytest.raises(RefusedCall):
        VonageAnswer().verify(post(authorization=bearer(BODY)), NOW)


def test_which_call_it_is() -> None:
    form = b"from=441632960960&to=441632960961&uuid=63f61863&conversation_uuid=CON-1"
    for request in (post(), post(form, "application/x-www-form-urlencoded"), get(form.decode())):
        assert RULE.read(request) == Incoming(CALL)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"uuid":""}', b'{"uuid":[]}', b"\xff", b"[" * 9999])
def test_an_unreadable_question_is_refused(body: bytes) -> None:
    with pytest.raises(RefusedCall) as refusal:
        RULE.read(post(body))
    assert refusal.value.code == "bad_webhook"


@given(st.binary(), st.sampled_from(["application/json", "application/x-www-form-urlencoded", ""]))
def test_any_body_is_read_or_refused(body: bytes, content_type: str) -> None:
    try:
        found = RULE.read(post(body, content_type))
    except RefusedCall:
        return
    assert found.call.call_id


def test_the_ncco_byte_by_byte() -> None:
    answer = RULE.connect(Incoming(CALL), stream_url="wss://v.example/phone/vonage", token="secret")
    assert answer.content_type == "application/json"
    assert answer.body == (
        b'[{"action":"connect","endpoint":[{"type":"websocket","uri":"wss://v.example/phone/vonage",'
        b'"content-type":"audio/l16;rate=16000","headers":{"call_id":"63f61863","token":"secret",'
        b'"caller":"441632960960","called":"441632960961","direction":"inbound"}}]}]'
    )


def test_an_empty_ncco_ends_the_call() -> None:
    assert json.loads(RULE.hang_up(Incoming(CALL)).body) == []


def test_a_call_that_cannot_be_taken_is_told_so() -> None:
    assert json.loads(RULE.refuse(Incoming(CALL)).body) == [{"action": "talk", "text": BUSY_LINE}]


def test_the_hash_is_that_of_the_body() -> None:
    assert len(hashlib.sha256(BODY).hexdigest()) == 64
    with pytest.raises(RefusedCall):
        RULE.verify(post(BODY + b" ", authorization=bearer(BODY)), NOW)
