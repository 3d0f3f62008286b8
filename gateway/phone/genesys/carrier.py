"""Genesys, configured."""

from dataclasses import dataclass, field

from gateway.phone.genesys.protocol import NAME, GenesysProtocol, Opening
from gateway.phone.genesys.signature import GenesysKeys, read_keys, verify
from gateway.phone.messages import Once
from gateway.phone.protocol import Carrier, Upgrade
from voicegate.kernel.errors import ConfigError

_MAX_MESSAGE_BYTES = 4 * 65_535
"""65535 characters of UTF-8: what is longer in characters only is answered in words."""


@dataclass(frozen=True, slots=True)
class GenesysConfig:
    keys: str = field(default="", repr=False)
    """API keys and client secrets, ``key:base64secret,key:base64secret``."""
    unsigned: bool = False
    """A key without a secret (``key:``) opens unsigned."""
    packet_ms: int = 200
    """Audio in one message to Genesys, which limits how many come."""

    def __post_init__(self) -> None:
        if not 20 <= self.packet_ms <= 1_000 or self.packet_ms % 20:
            raise ConfigError(f"a Genesys packet has 20 to 1000 ms, in steps of 20, not {self.packet_ms}")


def genesys(config: GenesysConfig) -> Carrier:
    """Its upgrade is signed, and proves by itself that a call may begin."""
    keys = GenesysKeys(read_keys(config.keys, unsigned=config.unsigned))

    def open_protocol(upgrade: Upgrade) -> GenesysProtocol:
        ids = (upgrade.headers.get(f"audiohook-{name}-id", "").strip() for name in ("session", "organization"))
        return GenesysProtocol(Opening(*ids), packet_ms=config.packet_ms)

    def vouch(upgrade: Upgrade, now_s: float) -> bool | Once:
        if not keys.secrets:
            return False
        signed = verify(upgrade, keys, now_s)
        return Once(f"{NAME}:{signed.api_key}:{signed.nonce}", signed.expires) if signed.nonce else True

    return Carrier(
        NAME, open=open_protocol, vouch=vouch, max_message_bytes=_MAX_MESSAGE_BYTES, guarded=bool(keys.secrets)
    )
