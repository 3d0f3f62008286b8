"""Twilio, configured. PURE."""

from dataclasses import dataclass, field

from gateway.phone.protocol import Carrier, Upgrade
from gateway.phone.twilio.answer import TwilioAnswer
from gateway.phone.twilio.protocol import NAME, TwilioProtocol
from gateway.phone.twilio.signature import is_signed
from voicegate.kernel.errors import RefusedCall


@dataclass(frozen=True, slots=True)
class TwilioConfig:
    account_sid: str = ""
    auth_token: str = field(default="", repr=False)
    """Signs webhooks and upgrades, and opens the REST API. Empty: no proof is good, except in development mode."""
    api_url: str = "https://api.twilio.com"


def twilio(config: TwilioConfig) -> Carrier:
    """The carrier. A stream needs a token from our answer, and a signed upgrade where an auth token is set."""

    def vouch(upgrade: Upgrade, now_s: float) -> bool:
        if not config.auth_token:
            return False
        url = f"{upgrade.public_url.replace('http', 'ws', 1)}{upgrade.path}"
        if not is_signed(config.auth_token, url, (), upgrade.headers.get("x-twilio-signature", "")):
            raise RefusedCall("forged", "X-Twilio-Signature is missing or wrong for this address")
        return False  # a signature is the same for every call: the token says which one this is

    return Carrier(
        NAME,
        open=lambda upgrade: TwilioProtocol(returns=True),
        vouch=vouch,
        guarded=bool(config.auth_token),
        signs=bool(config.auth_token),
        answer=TwilioAnswer(config.auth_token),
    )
