"""Plivo, configured. PURE."""

from dataclasses import dataclass, field
from typing import Literal

from gateway.phone.plivo.answer import PlivoAnswer, dial
from gateway.phone.plivo.protocol import NAME, SUBPROTOCOL, PlivoProtocol
from gateway.phone.protocol import Carrier


@dataclass(frozen=True, slots=True)
class PlivoConfig:
    auth_id: str = ""
    auth_token: str = field(default="", repr=False)
    """Signs webhooks and opens the REST API. Empty: no proof is good, except in development mode."""
    api_url: str = "https://api.plivo.com"
    content_type: Literal["audio/x-mulaw;rate=8000", "audio/x-l16;rate=8000", "audio/x-l16;rate=16000"] = (
        "audio/x-mulaw;rate=8000"
    )
    l16_order: Literal["big", "little"] = "little"
    """How L16 lies on the wire; the documents do not say."""


def plivo(config: PlivoConfig) -> Carrier:
    """The carrier. Its upgrade proves nothing: a stream needs a token from our answer."""
    return Carrier(
        NAME,
        open=lambda upgrade: PlivoProtocol(big_endian=config.l16_order == "big"),
        vouch=lambda upgrade, now_s: False,
        subprotocols=(SUBPROTOCOL,),
        guarded=bool(config.auth_token),
        answer=PlivoAnswer(config.auth_token, content_type=config.content_type),
        dial=dial,
    )
