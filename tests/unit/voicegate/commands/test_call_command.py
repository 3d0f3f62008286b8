"""``voicegate call``: what it says and how it exits when a call cannot be held."""

import socket
from pathlib import Path

import numpy as np
import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from audiocodecs.wav import encode_wav
from voicegate.client.record import Line
from voicegate.commands.call import call
from voicegate.commands.call_end import NO_AUDIO, NO_GATEWAY
from voicegate.commands.call_report import STAGES, latency_table, transcript_table

app = typer.Typer(add_completion=False)
app.command()(call)


@pytest.fixture
def closed_url() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"ws://127.0.0.1:{probe.getsockname()[1]}"


@pytest.mark.parametrize("content", [b"# not audio at all, but text", None])
def test_a_file_that_is_no_audio(tmp_path: Path, content: bytes | None, closed_url: str) -> None:
    path = tmp_path / "notes.wav"
    if content is not None:
        path.write_bytes(content)
    result = CliRunner().invoke(app, [str(path), "--url", closed_url])
    assert result.exit_code == NO_AUDIO
    assert "notes.wav" in result.output


def test_nobody_listens(tmp_path: Path, closed_url: str) -> None:
    path = tmp_path / "hello.wav"
    path.write_bytes(encode_wav(np.full(8000, 1000, np.int16), 8000))
    result = CliRunner().invoke(app, [str(path), "--url", closed_url])
    assert result.exit_code == NO_GATEWAY
    assert "voicegate serve" in result.output


def _printed(table: object) -> str:
    console = Console(width=160, record=True)
    console.print(table)
    return console.export_text()


def test_the_tables_show_what_was_measured() -> None:
    stages = {stage: 10.0 + index for index, stage in enumerate(STAGES)}
    text = _printed(latency_table([("a.wav", 321.4, stages), ("b.wav", None, None)]))
    assert "321" in text
    assert "15" in text
    assert "no reply" in text
    lines = [Line("caller", "Hi [there]."), Line("agent", "Good", interrupted=True)]
    assert "Hi [there]." in _printed(transcript_table(lines))
    assert "interrupted" in _printed(transcript_table(lines))
