"""Vonage's answer webhook: a signed question, answered by a call control object (NCCO). PURE.

Source: Vonage, "Answer webhook", "NCCO reference" (``connect`` to a WebSocket). The WebSocket gets our token as one of
its headers: an address ends up in logs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import msgspec

from gateway.phone.fields import text_in
from gateway.phone.messages import Once, PhoneCall
from gateway.phone.vonage.protocol import CALL_ID, CALLED, CALLER, DIRECTION, NAME, TOKEN
from gateway.phone.vonage.signature import VonageKeys, query_payload, verify
from gateway.phone.webhook import BUSY_LINE, Answer, Incoming, Webhook
from voicegate.kernel.errors import RefusedCall

_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class VonageAnswer:
    """The rule of ``/phone/vonage/answer`` (see :class:`gateway.phone.webhook.AnswerRule`)."""

    keys: VonageKeys = field(default_factory=VonageKeys)
    rate_hz: int = 16_000
    """Rate of the WebSocket's audio: 8000, 16000 or 24000."""
    methods: ClassVar[tuple[str, ...]] = ("GET", "POST")

    def verify(self, request: Webhook, now_s: float) -> Once | None:
        try:
            payload = request.body if request.method == "POST" else query_payload(request.asked())
        except ValueError:
            raise RefusedCall("forged", "the query cannot be read") from None
        claims = verify(request.headers.get("authorization"), payload, self.keys, now_s)
        return Once(f"{NAME}:{claims.token_id}", claims.expires)

    def read(self, request: Webhook) -> Incoming:
        fields = _fields(request)
        call_id = text_in(fields, "uuid")
        if not call_id:
            raise RefusedCall("bad_webhook", "the request has no uuid of the call")
        call = PhoneCall(
            NAME,
            call_id,
            stream_id=text_in(fields, "conversation_uuid"),
            caller=text_in(fields, "from"),
            called=text_in(fields, "to"),
            direction="inbound",
        )
        return Incoming(call)

    def connect(self, incoming: Incoming, *, stream_url: str, token: str) -> Answer:
        call = incoming.call
        facts = {
            CALL_ID: call.call_id,
            TOKEN: token,
            CALLER: call.caller,
            CALLED: call.called,
            DIRECTION: call.direction,
        }
        endpoint = {
            "type": "websocket",
            "uri": stream_url,
            "content-type": f"audio/l16;rate={self.rate_hz}",
            "headers": {name: value for name, value in facts.items() if value},
        }
        return _answer([{"action": "connect", "endpoint": [endpoint]}])

    def hang_up(self, incoming: Incoming) -> Answer:
        """Nothing to do: Vonage ends a call whose NCCO is empty."""
        return _answer([])

    def refuse(self, incoming: Incoming) -> Answer:
        """An NCCO has no busy tone."""
        return _answer([{"action": "talk", "text": BUSY_LINE}])


def _fields(request: Webhook) -> Mapping[str, object]:
    """A POST is JSON; a GET, and a POST of an application set to forms, are fields."""
    try:
        if request.method == "GET":
            return dict(request.asked())
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() == _JSON:
            return msgspec.json.decode(request.body, type=dict[str, object])
        return dict(request.form())
    except (ValueError, RecursionError):
        raise RefusedCall("bad_webhook", "the request cannot be read") from None


def _answer(ncco: list[dict[str, object]]) -> Answer:
    return Answer(_JSON, msgspec.json.encode(ncco))
