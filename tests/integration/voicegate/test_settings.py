"""Settings come from the environment, and a wrong one is named with what is allowed."""

from pathlib import Path

import pytest

from gateway.config import GatewayConfig
from voicegate.app import gateway_settings, session_settings
from voicegate.kernel.errors import ConfigError
from voicegate.settings import Settings, load, variable

WRONG = [
    ("VOICEGATE_PORT", "70000", "65535"),
    ("VOICEGATE_PORT", "http", "integer"),
    ("VOICEGATE_STT", "whisper", "'moonshine', 'faster-whisper' or 'openai'"),
    ("VOICEGATE_TTS", "polly", "'elevenlabs-http'"),
    ("VOICEGATE_LANGUAGE", "english", "[a-z]{2}"),
    ("VOICEGATE_IDLE_S", "-1", "greater than or equal to 0"),
    ("VOICEGATE_SPECULATE", "perhaps", "boolean"),
    ("VOICEGATE_MAX_CALLS", "0", "greater than or equal to 1"),
    ("VOICEGATE_LOG_LEVEL", "loud", "'debug', 'info', 'warning' or 'error'"),
    ("REDIS_URL", "http://localhost", "unix://"),
    ("OPENAI_BASE_URL", "localhost:1234", "https?://"),
]


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of the tester's own environment."""
    for name in Settings.model_fields:
        monkeypatch.delenv(variable(name), raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("name", "value", "allowed"), WRONG, ids=lambda each: str(each)[:30])
def test_a_wrong_value_is_named_with_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, allowed: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as error:
        load()
    lines = str(error.value).splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"{name}={value!r}: ")
    assert allowed in lines[0]


def test_all_wrong_values_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOICEGATE_PORT", "-1")
    monkeypatch.setenv("VOICEGATE_VAD", "ears")
    with pytest.raises(ConfigError) as error:
        load()
    assert [line.split("=")[0] for line in str(error.value).splitlines()] == ["VOICEGATE_PORT", "VOICEGATE_VAD"]


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOICEGATE_PORT", "")
    monkeypatch.setenv("REDIS_URL", "")
    assert (load().port, load().redis_url) == (8000, "")


def test_the_command_line_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOICEGATE_PORT", "9000")
    monkeypatch.setenv("VOICEGATE_HOST", "127.0.0.2")
    settings = load(port=9001, host=None)
    assert (settings.port, settings.host) == (9001, "127.0.0.2")


def test_every_variable_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name in the documentation that nobody reads would be a promise not kept."""
    given = {
        "VOICEGATE_ENDPOINTING_MS": "400", "VOICEGATE_SPECULATE": "false", "VOICEGATE_IDLE_S": "3",
        "VOICEGATE_API_KEYS": " first-key-of-16-b, second-key-of-16b ,", "VOICEGATE_TOKEN_SECRET": "0123456789abcdef",
        "VOICEGATE_ALLOWED_ORIGINS": "https://a.example, https://b.example", "VOICEGATE_MAX_CALL_S": "60",
        "VOICEGATE_MAX_CALLS": "7", "VOICEGATE_ALLOW_ANONYMOUS": "true", "VOICEGATE_HOST": "0.0.0.0",
    }  # fmt: skip
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settings = load()
    turn = session_settings(settings).turn
    assert (turn.endpointing.finished_s, turn.speculate, turn.idle_s) == (0.4, False, 3.0)
    gateway = gateway_settings(settings)
    assert gateway.api_keys == ("first-key-of-16-b", "second-key-of-16b")
    assert gateway.token_secrets == ("0123456789abcdef",)
    assert gateway.allowed_origins == ("https://a.example", "https://b.example")
    assert (gateway.max_connections, gateway.limits.session_s, gateway.anonymous) == (7, 60.0, True)


@pytest.mark.parametrize("name", ["VOICEGATE_TOKEN_SECRET", "VOICEGATE_API_KEYS", "OPENAI_API_KEY"])
def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "sesame-open-the-door")
    settings = load()
    assert "sesame" not in repr(settings)
    assert "sesame" not in settings.model_dump_json()
    assert "sesame" not in repr(gateway_settings(settings))


@pytest.mark.parametrize("name", ["VOICEGATE_TOKEN_SECRET", "VOICEGATE_API_KEYS"])
def test_a_short_secret_is_named_and_not_shown(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "long-enough-for-it,sesame")
    if name == "VOICEGATE_TOKEN_SECRET":
        monkeypatch.setenv(name, "sesame")
    with pytest.raises(ConfigError) as error:
        load()
    assert str(error.value).startswith(f"{name}: ")
    assert "16 bytes" in str(error.value)
    assert "sesame" not in str(error.value)


def test_nobody_could_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond loopback, without a token and without a way to get one."""
    monkeypatch.setenv("VOICEGATE_HOST", "0.0.0.0")
    with pytest.raises(ConfigError, match=r"VOICEGATE_HOST='0\.0\.0\.0'.*VOICEGATE_TOKEN_SECRET"):
        gateway_settings(load())
    monkeypatch.setenv("VOICEGATE_API_KEYS", "a-key-of-16-bytes")
    assert isinstance(gateway_settings(load()), GatewayConfig)


def test_a_token_secret_may_hold_any_character_and_keys_are_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOICEGATE_TOKEN_SECRET", "a secret, with commas, yes")
    assert gateway_settings(load()).token_secrets == ("a secret, with commas, yes",)
    monkeypatch.setenv("VOICEGATE_API_KEYS", "0123456789abcdef, short")
    with pytest.raises(ConfigError, match="16 bytes or more"):
        load()
