"""Telnyx's TeXML webhook and its answer. PURE. Source: Telnyx, "TeXML: Stream" and the media streaming guide."""

from collections.abc import Mapping, Sequence
from xml.sax.saxutils import quoteattr

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gateway.phone.fields import MAX_FIELD_CHARACTERS
from gateway.phone.messages import Direction, PhoneCall
from gateway.phone.telnyx.protocol import NAME, TOKEN
from gateway.phone.telnyx.signature import is_signed
from gateway.phone.webhook import BUSY_LINE, Answer, Incoming, Webhook
from voicegate.kernel.errors import RefusedCall

_OVER = frozenset({"completed", "busy", "failed", "no-answer", "canceled"})


class TelnyxAnswer:
    """``POST /phone/telnyx/answer`` (see :class:`gateway.phone.webhook.AnswerRule`)."""

    methods: Sequence[str] = ("POST",)

    def __init__(self, key: Ed25519PublicKey | None, *, codec: str, rate_hz: int) -> None:
        self._key = key
        self._codec = codec
        self._rate_hz = rate_hz

    def verify(self, request: Webhook, now_s: float) -> None:
        headers = request.headers
        timestamp, signature = headers.get("telnyx-timestamp", ""), headers.get("telnyx-signature-ed25519", "")
        if not is_signed(self._key, timestamp, request.body, signature, now_s):
            raise RefusedCall("forged", "telnyx-signature-ed25519 is missing, wrong or older than five minutes")

    def read(self, request: Webhook) -> Incoming:
        try:
            fields = dict(request.form())
        except ValueError:
            raise RefusedCall("bad_webhook", "the form cannot be read") from None
        call_id = fields.get("CallControlId") or fields.get("CallSid", "")
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
        return Incoming(call, over=fields.get("CallStatus", "") in _OVER)

    def connect(self, incoming: Incoming, *, stream_url: str, token: str) -> Answer:
        """Without ``bidirectionalMode="rtp"`` Telnyx takes whole MP3 clips only."""
        return _texml(
            f'<Connect><Stream url={quoteattr(stream_url)} bidirectionalMode="rtp" '
            f'bidirectionalCodec="{self._codec}" bidirectionalSamplingRate="{self._rate_hz}">'
            f"<Parameter name={quoteattr(TOKEN)} value={quoteattr(token)}/></Stream></Connect>"
        )

    def hang_up(self, incoming: Incoming) -> Answer:
        return _texml("<Hangup/>")

    def refuse(self, incoming: Incoming) -> Answer:
        """As Twilio's (Telnyx, "TeXML: Reject")."""
        if incoming.call.direction == "outbound":
            return _texml(f"<Say>{BUSY_LINE}</Say><Hangup/>")
        return _texml('<Reject reason="busy"/>')


def _texml(verbs: str) -> Answer:
    return Answer("text/xml", f'<?xml version="1.0" encoding="UTF-8"?><Response>{verbs}</Response>'.encode())


def _direction(fields: Mapping[str, str]) -> Direction:
    said = fields.get("Direction", "")
    return "inbound" if said == "inbound" else "outbound" if said.startswith("outbound") else ""
