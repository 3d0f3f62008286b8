"""The snippets of README.md, run word for word in an empty folder against a started gateway."""

import os
import re
import subprocess
import sys
import wave
from pathlib import Path

import pytest

from tests.e2e.conftest import Start
from tests.e2e.served import ROOT, Served

pytestmark = pytest.mark.slow

PYTHON = re.compile(r"```python\n# (?P<name>\w+\.py): .*?\n(?P<code>.*?)```", re.DOTALL)
SNIPPETS = {found["name"]: found["code"] for found in PYTHON.finditer((ROOT / "README.md").read_text())}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a newcomer works: with the question that the first snippet makes."""
    place = tmp_path_factory.mktemp("readme")
    run(place, "make_question.py")
    return place


def run(folder: Path, name: str, port: int = 8000) -> str:
    (folder / name).write_text(SNIPPETS[name].replace("localhost:8000", f"localhost:{port}"))
    return output(folder, name)


def output(folder: Path, *arguments: str) -> str:
    done = python(folder, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def python(folder: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    paths = os.pathsep.join([str(ROOT), str(ROOT / "codecs")])
    variables = {**os.environ, "PYTHONPATH": paths, **environment}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=60, check=False)


def test_every_snippet_is_run_here() -> None:
    assert set(SNIPPETS) == {"make_question.py", "simple_call.py", "full_call.py"}
    assert (ROOT / "README.md").read_text().count("```python") == len(SNIPPETS)


def test_the_command_line(served: Served, folder: Path) -> None:
    shown = output(folder, "-m", "voicegate", "call", "question.wav", "--url", served.url, "--out", "call.wav")
    assert "open Monday" in shown
    with wave.open(str(folder / "call.wav")) as tape:
        assert tape.getnchannels() == 2


def test_the_simple_profile(served: Served, folder: Path) -> None:
    shown = run(folder, "simple_call.py", served.port)
    answers = sorted(folder.glob("answer*.wav"))
    assert len(answers) == len(shown.splitlines()) >= 1
    for answer in answers:
        with wave.open(str(answer)) as file:
            assert file.getnframes() > file.getframerate() / 2
    assert "opening hours" in served.said("my-first-call", "user").lower()


def test_the_full_profile(served: Served, folder: Path) -> None:
    lines = run(folder, "full_call.py", served.port).splitlines()
    kinds = [line.split(" ")[0] for line in lines]
    assert kinds[:2] == ["session.welcome", "session.started"]
    assert kinds[-1] == "session.ended"
    (said,) = [line for line in lines if line.startswith("turn.committed ")]
    assert "opening hours" in said
    (answer,) = [line for line in lines if line.startswith("reply.finished ")]
    assert "open Monday" in answer


def test_a_token_of_the_command_line_opens_the_door(start: Start, folder: Path) -> None:
    """What ``docs/operations.md`` says about listening beyond loopback."""
    secret = "a secret of 32 characters, really"
    beyond = start(VOICEGATE_HOST="0.0.0.0", VOICEGATE_TOKEN_SECRET=secret)
    token = python(folder, "-m", "voicegate", "token", "--minutes", "5", VOICEGATE_TOKEN_SECRET=secret).stdout.strip()
    call = ("-m", "voicegate", "call", "question.wav", "--url", beyond.url)
    assert python(folder, *call).returncode == 3
    assert "open Monday" in output(folder, *call, "--token", token)
