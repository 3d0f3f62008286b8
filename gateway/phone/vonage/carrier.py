"""Vonage, configured."""

import uuid
from dataclasses import dataclass, field

from gateway.phone.protocol import Carrier
from gateway.phone.vonage.answer import VonageAnswer
from gateway.phone.vonage.protocol import NAME, RATES_HZ, VonageProtocol
from gateway.phone.vonage.signature import VonageKeys
from voicegate.kernel.errors import ConfigError


@dataclass(frozen=True, slots=True)
class VonageConfig:
    signature_secrets: tuple[str, ...] = field(default=(), repr=False)
    """Of the account, from the dashboard."""
    rate_hz: int = 16_000
    """Rate of the audio that our NCCO asks for."""
    payload_hash: bool = True
    """Refuse a webhook whose body its token does not vouch for."""

    def __post_init__(self) -> None:
        if self.rate_hz not in RATES_HZ:
            raise ConfigError(f"Vonage has audio at {RATES_HZ} Hz, not at {self.rate_hz}")


def vonage(config: VonageConfig) -> Carrier:
    """Its upgrade is not signed: a stream needs the token of the answer webhook."""
    keys = VonageKeys(config.signature_secrets, payload_hash=config.payload_hash)
    return Carrier(
        NAME,
        open=lambda _upgrade: VonageProtocol(str(uuid.uuid4())),
        vouch=lambda _upgrade, _now_s: False,
        guarded=bool(config.signature_secrets),
        answer=VonageAnswer(keys, config.rate_hz),
    )
