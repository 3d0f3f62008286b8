"""Secrets that are made at the first start and kept in the data folder."""

import os
import secrets
from pathlib import Path

from pydantic import SecretStr

from voicegate.kernel.errors import ConfigError
from voicegate.settings import Settings


def kept_secret(path: Path) -> str:
    """The secret in ``path``: 256 bits, made if there is none. Only this user may read the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(32))
    return path.read_text().strip()


def with_own_secret(settings: Settings) -> Settings:
    """The settings, with a secret for media tokens that gateway and control API share.

    Raises:
        ConfigError: the control API runs alone and was given none.
    """
    if settings.role == "gateway" or settings.token_secret.get_secret_value():
        return settings
    if settings.role == "control":
        raise ConfigError("VOICEGATE_TOKEN_SECRET: the control API and its gateway need the same one")
    secret = kept_secret(settings.data_dir / "keys" / "token-secret")
    return settings.model_copy(update={"token_secret": SecretStr(secret)})
