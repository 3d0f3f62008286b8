"""``voicegate doctor`` finds what is missing and says how to mend it; so does a start that fails."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from voicegate.commands.doctor import Finding, examine

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def _own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VOICEGATE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("VOICEGATE_PORT", "0")


def _by_name(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings}


async def test_a_machine_that_is_well() -> None:
    findings = await examine()
    assert [finding.state for finding in findings if finding.name != "voice"] == ["ok"] * (len(findings) - 1)
    found = _by_name(findings)
    assert list(found) == ["python", "settings", "redis", "port", "opus", "voice", "speech to text", "agent"]
    assert found["voice"].state in ("ok", "weak")  # weak without flite
    assert "fox" in found["speech to text"].detail.lower(), "it heard what its own voice said"


async def test_a_wrong_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOICEGATE_TTS", "gramophone")
    finding = _by_name(await examine())["settings"]
    assert finding.state == "broken"
    assert "VOICEGATE_TTS='gramophone'" in finding.detail
    assert finding.remedy


async def test_redis_and_port_and_key_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setenv("VOICEGATE_PORT", str(taken.getsockname()[1]))
        monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1")
        monkeypatch.setenv("VOICEGATE_AGENT", "openai")
        monkeypatch.setenv("OPENAI_API_KEY", "")
        found = _by_name(await examine())
    assert (found["redis"].state, found["port"].state, found["engines"].state) == ("broken",) * 3
    assert "REDIS_URL" in found["redis"].remedy
    assert "VOICEGATE_PORT" in found["port"].remedy
    assert "OPENAI_API_KEY" in found["engines"].detail


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"VOICEGATE_PORT": "seventy"}, "VOICEGATE_PORT='seventy'"),
        ({"VOICEGATE_STT": "faster-whisper"}, "VOICEGATE_STT_MODEL"),
        ({"VOICEGATE_HOST": "0.0.0.0"}, "token secret"),
        ({"VOICEGATE_HOST": "203.0.113.1", "VOICEGATE_API_KEYS": "a-key-of-16-bytes"}, "cannot listen on 203.0.113.1"),
    ],
    ids=["value", "model", "nobody could call", "address"],
)
def test_a_start_that_fails_says_why_without_a_traceback(
    tmp_path: Path, environment: dict[str, str], told: str
) -> None:
    paths = os.pathsep.join([str(ROOT), str(ROOT / "codecs")])
    done = subprocess.run(
        [sys.executable, "-m", "voicegate", "serve"],
        env={**os.environ, "PYTHONPATH": paths, "VOICEGATE_DATA_DIR": str(tmp_path), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert told in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
