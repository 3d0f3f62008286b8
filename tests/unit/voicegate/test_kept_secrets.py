"""Secrets of the first start, and what a gateway alone does not load."""

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from voicegate.kept_secrets import kept_secret, with_own_secret
from voicegate.kernel.errors import ConfigError
from voicegate.settings import load

GIVEN = SecretStr("given by the settings")


def test_a_secret_is_made_once_and_for_us_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "secret"
    made = kept_secret(path)
    assert len(made) >= 43
    assert kept_secret(path) == made
    assert path.stat().st_mode & 0o077 == 0


def test_gateway_and_control_api_in_one_process_share_one(tmp_path: Path) -> None:
    settings = load(role="all", data_dir=tmp_path)
    secret = with_own_secret(settings).token_secret.get_secret_value()
    assert secret
    assert with_own_secret(settings).token_secret.get_secret_value() == secret


@pytest.mark.parametrize("role", ["gateway", "control", "all"])
def test_a_given_secret_is_kept(tmp_path: Path, role: str) -> None:
    settings = load(role=role, data_dir=tmp_path, token_secret=GIVEN)
    assert with_own_secret(settings) is settings
    assert not list(tmp_path.iterdir())


def test_a_gateway_alone_makes_none(tmp_path: Path) -> None:
    assert with_own_secret(load(role="gateway", data_dir=tmp_path)).token_secret.get_secret_value() == ""


def test_a_control_api_alone_must_be_given_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="VOICEGATE_TOKEN_SECRET"):
        with_own_secret(load(role="control", data_dir=tmp_path))


def test_the_command_line_loads_no_database_and_no_engines() -> None:
    """They take seconds: ``voicegate token`` answers at once, and who watches over workers stays small."""
    heavy = ("fastapi", "sqlalchemy", "psycopg", "agents", "faster_whisper", "ctranslate2")
    code = f"import sys, voicegate.cli; print([name for name in {heavy} if name in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=100)
    assert said.stdout.strip() == "[]"
