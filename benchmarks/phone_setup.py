"""A gateway that takes calls of every carrier, and the carriers that know its secrets.

The secrets are made anew for each run; they hold the two sides together and guard nothing else.
"""

import base64
import secrets
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmarks.gateway_process import free_port
from voicegate.client.carriers.target import PhoneTarget, PhoneVia
from voicegate.settings import variable


def _key() -> str:
    return secrets.token_hex(16)


@dataclass(frozen=True, slots=True)
class PhoneSetup:
    """What an operator would have agreed with each carrier."""

    twilio: str = field(default_factory=_key)
    plivo: str = field(default_factory=_key)
    vonage: str = field(default_factory=_key)
    password: str = field(default_factory=_key)
    """Of private exchanges; the user is ``gateway``."""
    genesys: str = field(default_factory=lambda: base64.b64encode(secrets.token_bytes(32)).decode())
    genesys_key: str = field(default_factory=_key)
    telnyx: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    audiosocket_port: int = field(default_factory=free_port)

    def settings(self) -> dict[str, object]:
        """By the names of the fields of :class:`voicegate.settings.Settings`."""
        user = f"gateway:{self.password}"
        return {
            "twilio_account_sid": "AC0",
            "twilio_auth_token": self.twilio,
            "telnyx_public_key": base64.b64encode(self.telnyx.public_key().public_bytes_raw()).decode(),
            "plivo_auth_id": "MA0",
            "plivo_auth_token": self.plivo,
            "vonage_signature_secrets": self.vonage,
            "genesys_keys": f"{self.genesys_key}:{self.genesys}",
            "exotel_username": "gateway",
            "exotel_password": self.password,
            "jambonz_credentials": user,
            "freeswitch_credentials": user,
            "asterisk_credentials": user,
            "audiosocket": True,
            "audiosocket_port": self.audiosocket_port,
            "audiosocket_credentials": user,
        }

    def environment(self, public_url: str = "http://127.0.0.1:{port}") -> dict[str, str]:
        """The same as variables of the environment; ``{port}`` stands for the gateway's port."""
        return {variable(name): str(value) for name, value in (self.settings() | {"public_url": public_url}).items()}

    def target(self, via: PhoneVia, url: str, *, network_ms: float = 20.0) -> PhoneTarget:
        """A call by ``via`` to the gateway at ``url``."""
        match via:
            case "twilio":
                return PhoneTarget(via, url, secret=self.twilio, network_ms=network_ms)
            case "telnyx":
                key = base64.b64encode(self.telnyx.private_bytes_raw()).decode()
                return PhoneTarget(via, url, secret=key, network_ms=network_ms)
            case "plivo":
                return PhoneTarget(via, url, secret=self.plivo, network_ms=network_ms)
            case "vonage":
                return PhoneTarget(via, url, secret=self.vonage, network_ms=network_ms)
            case "genesys":
                return PhoneTarget(via, url, secret=self.genesys, key=self.genesys_key, network_ms=network_ms)
            case "audiosocket":
                secret, port = f"gateway:{self.password}", self.audiosocket_port
                return PhoneTarget(via, url, secret=secret, tcp_port=port, network_ms=network_ms)
            case _:
                return PhoneTarget(via, url, secret=f"gateway:{self.password}", network_ms=network_ms)
