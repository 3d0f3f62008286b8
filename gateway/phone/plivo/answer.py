"""Plivo's answer webhook and its XML. PURE. Source: Plivo, "Audio Streaming XML"."""

from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from gateway.phone.fields import MAX_FIELD_CHARACTERS
from gateway.phone.messages import PhoneCall
from gateway.phone.plivo.protocol import NAME
from gateway.phone.plivo.signature import is_signed
from gateway.phone.webhook import BUSY_LINE, Answer, Incoming, Webhook
from voicegate.kernel.errors import RefusedCall

_OVER = frozenset({"completed", "busy", "failed", "timeout", "no-answer", "cancel", "rejected"})
_LONGEST_STREAM_S = 86_400


class PlivoAnswer:
    """``POST`` or ``GET /phone/plivo/answer`` (see :class:`gateway.phone.webhook.AnswerRule`)."""

    methods: Sequence[str] = ("POST", "GET")

    def __init__(self, auth_token: str, *, content_type: str) -> None:
        self._auth_token = auth_token
        self._content_type = content_type

    def verify(self, request: Webhook, now_s: float) -> None:
        fields = _fields(request) if request.method == "POST" else ()
        nonce = request.headers.get("x-plivo-signature-v3-nonce", "")
        signatures = request.headers.get("x-plivo-signature-v3", "")
        if not is_signed(self._auth_token, request.url, fields, nonce, signatures):
            raise RefusedCall("forged", "X-Plivo-Signature-V3 is missing or wrong for this address and these fields")

    def read(self, request: Webhook) -> Incoming:
        fields = dict(_fields(request))
        call_id = fields.get("CallUUID", "")
        if not call_id:
            raise RefusedCall("bad_webhook", "the request names no CallUUID")
        said = fields.get("Direction", "")
        call = PhoneCall(
            NAME,
            call_id[:MAX_FIELD_CHARACTERS],
            account_id=fields.get("ParentAuthID", "")[:MAX_FIELD_CHARACTERS],
            caller=fields.get("From", "")[:MAX_FIELD_CHARACTERS],
            called=fields.get("To", "")[:MAX_FIELD_CHARACTERS],
            direction="inbound" if said == "inbound" else "outbound" if said == "outbound" else "",
        )
        return Incoming(call, over=fields.get("CallStatus", "") in _OVER)

    def connect(self, incoming: Incoming, *, stream_url: str, token: str) -> Answer:
        """The token goes into the path: an upgrade of Plivo is not signed, and has no better place."""
        return _xml(
            f'<Stream bidirectional="true" keepCallAlive="true" contentType={quoteattr(self._content_type)} '
            f'streamTimeout="{_LONGEST_STREAM_S}">{escape(f"{stream_url}/{token}")}</Stream>'
        )

    def hang_up(self, incoming: Incoming) -> Answer:
        return _xml("<Hangup/>")

    def refuse(self, incoming: Incoming) -> Answer:
        """A ``<Hangup>`` that comes first rejects a call that nobody has answered (Plivo, "Hangup XML")."""
        if incoming.call.direction == "outbound":
            return _xml(f"<Speak>{BUSY_LINE}</Speak><Hangup/>")
        return _xml('<Hangup reason="busy"/>')


def dial(number: str) -> Answer:
    """The XML that a transferred call gets."""
    return _xml(f"<Dial><Number>{escape(number)}</Number></Dial>")


def _xml(verbs: str) -> Answer:
    return Answer("text/xml", f'<?xml version="1.0" encoding="UTF-8"?><Response>{verbs}</Response>'.encode())


def _fields(request: Webhook) -> Sequence[tuple[str, str]]:
    try:
        return request.form() if request.method == "POST" else request.asked()
    except ValueError:
        raise RefusedCall("bad_webhook", "the form cannot be read") from None
