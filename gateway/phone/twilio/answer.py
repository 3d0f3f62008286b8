"""Twilio's voice webhook and its TwiML. PURE. Source: Twilio, "TwiML Voice: Connect", "TwiML Voice: Stream"."""

from collections.abc import Mapping, Sequence
from typing import Final
from xml.sax.saxutils import quoteattr

from gateway.phone.fields import MAX_FIELD_CHARACTERS
from gateway.phone.messages import Direction, PhoneCall
from gateway.phone.twilio.protocol import NAME, TOKEN
from gateway.phone.twilio.signature import is_signed
from gateway.phone.webhook import BUSY_LINE, Answer, Incoming, Webhook
from voicegate.kernel.errors import RefusedCall

RETURNED: Final = "returned"
"""Query of the ``action`` address: Twilio comes back after our stream has ended."""
_OVER: Final = frozenset({"completed", "busy", "failed", "no-answer", "canceled"})


class TwilioAnswer:
    """``POST`` or ``GET /phone/twilio/answer`` (see :class:`gateway.phone.webhook.AnswerRule`)."""

    methods: Sequence[str] = ("POST", "GET")

    def __init__(self, auth_token: str) -> None:
        self._auth_token = auth_token

    def verify(self, request: Webhook, now_s: float) -> None:
        fields = _fields(request) if request.method == "POST" else ()
        if not is_signed(self._auth_token, request.url, fields, request.headers.get("x-twilio-signature", "")):
            raise RefusedCall("forged", "X-Twilio-Signature is missing or wrong for this address and these fields")

    def read(self, request: Webhook) -> Incoming:
        fields = dict(_fields(request))
        call_id = fields.get("CallSid", "")
        if not call_id:
            raise RefusedCall("bad_webhook", "the request names no CallSid")
        call = PhoneCall(
            NAME,
            call_id[:MAX_FIELD_CHARACTERS],
            account_id=fields.get("AccountSid", "")[:MAX_FIELD_CHARACTERS],
            caller=fields.get("From", "")[:MAX_FIELD_CHARACTERS],
            called=fields.get("To", "")[:MAX_FIELD_CHARACTERS],
            direction=_direction(fields),
        )
        returned = RETURNED in dict(request.asked())
        return Incoming(call, returned=returned, over=fields.get("CallStatus", "") in _OVER)

    def connect(self, incoming: Incoming, *, stream_url: str, token: str) -> Answer:
        """``<Connect>``, with an ``action`` that leads back to us: a broken stream is not the end of the call."""
        base = stream_url.replace("ws", "http", 1)
        return _twiml(
            f'<Connect action={quoteattr(f"{base}/answer?{RETURNED}=1")} method="POST">'
            f"<Stream url={quoteattr(stream_url)}>"
            f"<Parameter name={quoteattr(TOKEN)} value={quoteattr(token)}/></Stream></Connect>"
        )

    def hang_up(self, incoming: Incoming) -> Answer:
        return _twiml("<Hangup/>")

    def refuse(self, incoming: Incoming) -> Answer:
        """``<Reject>`` is for calls that nobody has answered yet (Twilio, "TwiML Voice: Reject")."""
        if incoming.returned or incoming.call.direction == "outbound":
            return _twiml(f"<Say>{BUSY_LINE}</Say><Hangup/>")
        return _twiml('<Reject reason="busy"/>')


def _twiml(verbs: str) -> Answer:
    return Answer("text/xml", f'<?xml version="1.0" encoding="UTF-8"?><Response>{verbs}</Response>'.encode())


def _fields(request: Webhook) -> Sequence[tuple[str, str]]:
    try:
        return request.form() if request.method == "POST" else request.asked()
    except ValueError:
        raise RefusedCall("bad_webhook", "the form cannot be read") from None


def _direction(fields: Mapping[str, str]) -> Direction:
    """``inbound``, ``outbound-api`` or ``outbound-dial``."""
    said = fields.get("Direction", "")
    return "inbound" if said == "inbound" else "outbound" if said.startswith("outbound") else ""
