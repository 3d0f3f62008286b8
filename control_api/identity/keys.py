"""Our issuer's signing key: an EC key on P-256, from the settings or made at the first start."""

import os
from pathlib import Path

from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from voicegate.kernel.errors import ConfigError


def read_key(text: str) -> ECKey:
    """A private key from PEM or JSON (RFC 7517).

    Raises:
        ConfigError: it is something else.
    """
    try:
        key = ECKey.import_key(text)
        good = key.is_private and key.curve_name == "P-256"
    except (JoseError, ValueError, TypeError):
        good = False
    if not good:
        raise ConfigError("VOICEGATE_ISSUER_KEY: allowed is a private EC key on P-256, as PEM or JWK")
    key.ensure_kid()
    return key


def own_key(path: Path) -> ECKey:
    """The key in ``path``; one is made if there is none. Only this user may read the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return read_key(path.read_text())
    with os.fdopen(descriptor, "wb") as file:
        file.write(ECKey.generate_key("P-256").as_pem(private=True))
    return read_key(path.read_text())
