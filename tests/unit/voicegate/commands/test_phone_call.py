"""``voicegate call --via twilio`` and the like: what it says when a call cannot be placed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from audiocodecs.wav import encode_wav
from voicegate.commands.call import call
from voicegate.commands.call_end import NO_GATEWAY
from voicegate.commands.listening import pieces

app = typer.Typer(add_completion=False)
app.command()(call)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "hello.wav"
    path.write_bytes(encode_wav(np.full(8000, 1000, np.int16), 8000))
    return path


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--via", "twilio"], "voicegate serve"),
        (["--via", "genesys"], "voicegate serve"),
        (["--via", "asterisk", "--format", "opus"], "no format"),
        (["--via", "exotel", "--format", "wide"], "no format"),
        (["--via", "audiosocket", "--call-id", "7"], "no UUID"),
        (
            ["--via", "audiosocket", "--call-id", "5f2c6f6e-0000-4000-8000-000000000000", "--tcp-port", "1"],
            "AudioSocket",
        ),
    ],
)
def test_a_call_that_cannot_be_placed(file: Path, options: list[str], words: str, unused_tcp_port: int) -> None:
    result = CliRunner().invoke(app, [str(file), "--url", f"ws://127.0.0.1:{unused_tcp_port}", *options])
    assert result.exit_code == NO_GATEWAY, result.output
    assert words in " ".join(result.output.split())


def test_long_speech_is_cut_where_it_is_quiet() -> None:
    speech: Any = np.full(30 * 16_000, 5_000, np.int16)
    for second in (11, 12, 25):
        speech[second * 16_000 : second * 16_000 + 640] = 0
    cut = [piece.size / 16_000 for piece in pieces(speech)]
    assert sum(cut) == 30
    assert max(cut) <= 14
    assert any(abs(cut[0] - second) < 0.05 for second in (11, 12))
