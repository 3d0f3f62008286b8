"""The UUID of a call: who may ask for one, and what is told with it."""

import base64
import uuid
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.phone.audiosocket.answer import AudioSocketAnswer
from gateway.phone.webhook import Webhook
from voicegate.kernel.errors import RefusedCall

CALL = "40325ec2-5efd-4bd3-805f-53576e581d13"
RULE = AudioSocketAnswer(lambda: CALL, "pbx:password")
BASIC = {"authorization": "Basic " + base64.b64encode(b"pbx:password").decode()}


def asked(query: str = "", body: bytes = b"", method: str = "GET", headers: Mapping[str, str] = {}) -> Webhook:
    return Webhook(method, "/phone/audiosocket/answer", query, headers, body, "http://127.0.0.1:8000")


def test_the_dial_plan_authenticates() -> None:
    RULE.verify(asked(headers=BASIC), 0)
    for rule in (RULE, AudioSocketAnswer(lambda: CALL)):
        with pytest.raises(RefusedCall) as refusal:
            rule.verify(asked(), 0)
        assert refusal.value.code == "unauthorized"


@pytest.mark.parametrize(
    "request_", [asked("caller=%2B1555&called=100"), asked(body=b"caller=%2B1555&called=100", method="POST")]
)
def test_the_uuid_names_the_call_and_is_its_capability(request_: Webhook) -> None:
    incoming = RULE.read(request_)
    assert (incoming.call.call_id, incoming.call.caller, incoming.call.called) == (CALL, "+1555", "100")
    assert incoming.token == CALL
    assert RULE.connect(incoming, stream_url="", token=CALL).body == CALL.encode()
    assert RULE.hang_up(incoming).body == b""
    assert RULE.refuse(incoming).body == b""


def test_too_many_fields_are_refused() -> None:
    with pytest.raises(RefusedCall):
        RULE.read(asked("&".join("a=1" for _ in range(501))))


@given(st.binary())
def test_any_body_is_read_or_refused(body: bytes) -> None:
    try:
        found = AudioSocketAnswer(lambda: str(uuid.uuid4())).read(asked(body=body, method="POST"))
    except RefusedCall:
        return
    assert uuid.UUID(found.token).version == 4
