"""Telnyx, configured. PURE."""

import hmac
from dataclasses import dataclass, field
from typing import Literal

from gateway.phone.messages import PhoneFormat
from gateway.phone.protocol import Carrier, Upgrade
from gateway.phone.telnyx.answer import TelnyxAnswer
from gateway.phone.telnyx.protocol import CODECS, NAME, TelnyxProtocol
from gateway.phone.telnyx.signature import read_public_key
from voicegate.kernel.errors import ConfigError, RefusedCall


@dataclass(frozen=True, slots=True)
class TelnyxConfig:
    public_key: str = ""
    """Of the account, in base64: checks webhooks. Empty: no proof is good, except in development mode."""
    api_key: str = field(default="", repr=False)
    api_url: str = "https://api.telnyx.com"
    stream_token: str = field(default="", repr=False)
    """``stream_auth_token`` of streams that are started by Call Control: it proves them. Empty: none is taken."""
    codec: str = "PCMU"
    """What we send: ``PCMU``, ``PCMA``, ``L16`` or ``OPUS``."""
    rate_hz: int = 8_000
    l16_order: Literal["big", "little"] = "big"
    """How L16 lies on the wire; the documents do not say, RFC 3551 would have it big-endian."""


def telnyx(config: TelnyxConfig) -> Carrier:
    """The carrier.

    Raises:
        ConfigError: an unknown codec or rate, or a key that is none.
    """
    encoding, rates = CODECS.get(config.codec, ("", ()))
    if config.rate_hz not in rates:
        known = "; ".join(f"{name} at {', '.join(map(str, of))}" for name, (_, of) in CODECS.items())
        raise ConfigError(f"Telnyx codec {config.codec} at {config.rate_hz} Hz is not one of: {known}")
    little = config.l16_order == "little"
    spoken = PhoneFormat("pcm16" if encoding == "l16" and little else encoding, config.rate_hz)

    def vouch(upgrade: Upgrade, now_s: float) -> bool:
        given = upgrade.headers.get("x-telnyx-streaming-auth-token", "")
        if not given:
            return False
        if not config.stream_token or not hmac.compare_digest(given.encode(), config.stream_token.encode()):
            raise RefusedCall("forged", "x-telnyx-streaming-auth-token is wrong")
        return True

    return Carrier(
        NAME,
        open=lambda upgrade: TelnyxProtocol(spoken, little_endian=little, returns=False),
        vouch=vouch,
        guarded=bool(config.public_key or config.stream_token),
        answer=TelnyxAnswer(read_public_key(config.public_key), codec=config.codec, rate_hz=config.rate_hz),
    )
