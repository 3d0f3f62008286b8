"""Secrets that lie in Redis and in the database, readable by whoever knows the deployment's token secret.

The control API seals them when they are given, the gateway opens them when a call needs them: AES-256-GCM (NIST SP
800-38D) under a key derived from the token secret by HKDF (RFC 5869). A sealed secret is bound to its organisation: in
another one's row it cannot be opened.
"""

import base64
import binascii
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from voicegate.kernel.errors import ConfigError, VoicegateError

_FORMAT = "v1."
_NONCE_BYTES = 12
_PURPOSE = b"voicegate: secrets of tools"


class SealBroken(VoicegateError):
    """It was sealed with another token secret, for another organisation, or is damaged."""

    code = "seal_broken"


class Sealing:
    """Seals and opens short texts."""

    def __init__(self, token_secret: str) -> None:
        """``token_secret``: the one of media tokens; empty: nothing can be sealed or opened."""
        key = HKDF(SHA256(), 32, None, _PURPOSE).derive(token_secret.encode())
        self._cipher = AESGCM(key) if token_secret else None

    def seal(self, organization_id: str, text: str) -> str:
        """Raises ConfigError: there is no token secret."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = self._with_key().encrypt(nonce, text.encode(), organization_id.encode())
        return _FORMAT + base64.urlsafe_b64encode(nonce + sealed).decode()

    def open(self, organization_id: str, sealed: str) -> str:
        """Raises SealBroken; ConfigError: there is no token secret."""
        cipher = self._with_key()
        try:
            if not sealed.startswith(_FORMAT):
                raise SealBroken("the secret was sealed in a way that is not known here")
            data = base64.b64decode(sealed[len(_FORMAT) :], altchars=b"-_", validate=True)
            return cipher.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], organization_id.encode()).decode()
        except (InvalidTag, ValueError, binascii.Error) as error:
            raise SealBroken("the secret cannot be opened; give it again") from error

    def _with_key(self) -> AESGCM:
        if self._cipher is None:
            raise ConfigError("VOICEGATE_TOKEN_SECRET: without it, no tool can have secrets")
        return self._cipher
