"""Exotel, configured, with the webhook that tells it the stream's address. PURE.

Source: Exotel, "Working with the Stream and Voicebot applet". The applet's address is either ours as ``wss://``, or an
``https://`` one whose answer is JSON with the ``url`` to stream to. Credentials in it (``wss://user:password@…``)
arrive as HTTP Basic (RFC 7617).
"""

import base64
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from gateway.phone.exotel.protocol import NAME, ExotelProtocol
from gateway.phone.fields import MAX_FIELD_CHARACTERS
from gateway.phone.messages import PhoneCall
from gateway.phone.protocol import Carrier, Upgrade
from gateway.phone.webhook import Answer, Incoming, Webhook
from voicegate.kernel.errors import RefusedCall


@dataclass(frozen=True, slots=True)
class ExotelConfig:
    username: str = ""
    password: str = field(default="", repr=False)
    """What stands in the applet's address. Empty: no proof is good, except in development mode."""

    def matches(self, headers: Mapping[str, str]) -> bool:
        """Whether the request carries these credentials. False where none are set: fail closed."""
        pair = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
        given = headers.get("authorization", "").encode(errors="surrogatepass")
        return bool(self.password) and hmac.compare_digest(f"Basic {pair}".encode(), given)


class ExotelAnswer:
    """``GET`` or ``POST /phone/exotel/answer`` (see :class:`gateway.phone.webhook.AnswerRule`)."""

    methods: Sequence[str] = ("GET", "POST")

    def __init__(self, config: ExotelConfig) -> None:
        self._config = config

    def verify(self, request: Webhook, now_s: float) -> None:
        if not self._config.matches(request.headers):
            raise RefusedCall("forged", "the applet's address must hold the user name and the password of the settings")

    def read(self, request: Webhook) -> Incoming:
        try:
            fields = dict([*request.asked(), *(request.form() if request.method == "POST" else ())])
        except ValueError:
            raise RefusedCall("bad_webhook", "the fields cannot be read") from None
        call_id = fields.get("CallSid", "")
        if not call_id:
            raise RefusedCall("bad_webhook", "the request names no CallSid")
        said = fields.get("Direction", "")
        call = PhoneCall(
            NAME,
            call_id[:MAX_FIELD_CHARACTERS],
            caller=(fields.get("CallFrom") or fields.get("From", ""))[:MAX_FIELD_CHARACTERS],
            called=(fields.get("CallTo") or fields.get("To", ""))[:MAX_FIELD_CHARACTERS],
            direction="inbound" if said == "incoming" else "outbound" if said.startswith("outbound") else "",
        )
        return Incoming(call)

    def connect(self, incoming: Incoming, *, stream_url: str, token: str) -> Answer:
        return Answer("application/json", msgspec.json.encode({"url": f"{stream_url}/{token}"}))

    def hang_up(self, incoming: Incoming) -> Answer:
        """Exotel knows no such answer: without an address the applet ends."""
        return Answer("application/json", b"{}")

    def refuse(self, incoming: Incoming) -> None:
        """The applet that fails hands the call to the next one of its flow, where a line may be spoken."""


def exotel(config: ExotelConfig) -> Carrier:
    """The carrier. The credentials of the address prove a stream, or a token of our answer does."""

    def vouch(upgrade: Upgrade, now_s: float) -> bool:
        if config.matches(upgrade.headers):
            return True
        if "authorization" in upgrade.headers and config.password:
            raise RefusedCall("forged", "the user name or the password is wrong")
        return False

    return Carrier(
        NAME,
        open=lambda upgrade: ExotelProtocol(),
        vouch=vouch,
        max_message_bytes=256 * 1024,
        guarded=bool(config.password),
        answer=ExotelAnswer(config),
    )
