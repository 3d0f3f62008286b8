"""Loading, threading and the shape of what Whisper says. The weights are random, so words prove nothing here."""

import threading
from pathlib import Path

import numpy as np
import pytest

from pipeline.adapters.faster_whisper import FasterWhisperConfig, FasterWhisperTranscriber, check_folder
from tests.vendors.tiny_whisper import write_tiny_whisper
from voicegate.kernel.errors import ConfigError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whisper")
    write_tiny_whisper(path)
    return path


@pytest.mark.parametrize(
    "name", ["model.bin", "config.json", "tokenizer.json", "vocabulary.json", "preprocessor_config.json"]
)
async def test_a_missing_file_is_named(folder: Path, tmp_path: Path, name: str) -> None:
    for file in folder.iterdir():
        if file.name != name:
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(ConfigError, match=name.replace(".", r"\.")):
        await FasterWhisperTranscriber(FasterWhisperConfig(str(tmp_path))).open()


def test_either_vocabulary_will_do(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name.replace("vocabulary.json", "vocabulary.txt")).write_bytes(file.read_bytes())
    check_folder(tmp_path)


async def test_broken_weights_are_a_configuration_error_and_leave_no_thread(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(b"{}" if file.name == "model.bin" else file.read_bytes())
    with pytest.raises(ConfigError, match="cannot be loaded"):
        await FasterWhisperTranscriber(FasterWhisperConfig(str(tmp_path))).open()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("faster-whisper")]


async def test_the_whole_segment_is_iterated_in_a_worker_and_weighed(folder: Path) -> None:
    noise = (np.random.default_rng(0).normal(size=32_000) * 3000).astype(np.int16)
    async with FasterWhisperTranscriber(FasterWhisperConfig(str(folder), no_speech_threshold=1.0)) as engine:
        first = await engine.transcribe(noise)
        again = await engine.transcribe(noise)
    assert first == again, "greedy and without memory of the segment before"
    assert first.text
    assert first.text == first.text.strip()
    assert first.confidence is not None
    assert first.confidence < 0
    assert first.end_probability is None
