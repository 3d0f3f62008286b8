"""The numbers that the speech-to-text benchmark prints are what it says they are."""

import csv
import wave
from pathlib import Path

import numpy as np
import pytest

from benchmarks.stt import Clip, cut_in_mid_sentence, measure, read_clips, summarise, through_telephone, words
from pipeline.ports import Transcription
from voicegate.kernel.audio import Samples


class Parrot:
    """Says the text that belongs to the first sample."""

    async def transcribe(
        self, samples: Samples, *, draft: Transcription | None = None, interim: bool = False
    ) -> Transcription:
        return Transcription({100: "dogs often run", 200: "cats fly"}.get(int(round(samples[4000] / 100) * 100), ""))


def level(value: int, seconds: float = 1.0) -> Samples:
    return np.full(int(seconds * 16000), value, np.int16)


async def test_word_error_rate_is_over_all_words_of_a_band_without_the_noise() -> None:
    clips = [Clip("a", "Dogs often run.", level(100)), Clip("b", "Cats run.", level(200)), Clip("n", "", level(900))]
    rows = await measure(Parrot(), clips)
    assert [row.wer for row in rows] == [0, 0.5, None] * 2
    narrow_and_wide = summarise(rows, clips)
    assert [one.band for one in narrow_and_wide] == ["16 kHz", "μ-law"]
    assert all(one.wer == pytest.approx(1 / 5) for one in narrow_and_wide)


@pytest.mark.parametrize(
    ("one", "other"), [("Thirty-three, four", "334"), ("It's two o'clock.", "it is 2 o'clock"), ("COLOUR", "color")]
)
def test_the_same_words_compare_equal(one: str, other: str) -> None:
    assert words(one) == words(other)


def test_the_telephone_keeps_length_and_takes_the_high_band() -> None:
    at = np.arange(16_000)
    low, high = (np.sin(2 * np.pi * hz * at / 16_000) * 8000 for hz in (1000, 6000))
    assert through_telephone(low.astype(np.int16)).size == pytest.approx(16_000, abs=64)
    assert np.abs(through_telephone(low.astype(np.int16))[2000:-2000]).max() > 7000
    assert np.abs(through_telephone(high.astype(np.int16))[2000:-2000]).max() < 400


def test_cuts_fall_into_pauses() -> None:
    clip = np.concatenate([level(5000, 0.5), level(0, 0.1)] * 5)
    ends = [part.size / 16_000 % 0.6 for part in cut_in_mid_sentence(clip)]
    assert sum(end >= 0.5 or end < 0.021 for end in ends) >= 2


def test_clips_are_read_at_16_khz(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "a.wav"), "wb") as audio:
        audio.setnchannels(1)
        audio.setsampwidth(2)
        audio.setframerate(8000)
        audio.writeframes(level(50, 0.5).tobytes())
    with (tmp_path / "index.csv").open("w", newline="") as index:
        csv.writer(index).writerows([("file", "kind", "reference"), ("a.wav", "noise", "-")])
    [clip] = read_clips(tmp_path)
    assert clip.reference == ""
    assert clip.samples.size == pytest.approx(16_000, abs=64)
