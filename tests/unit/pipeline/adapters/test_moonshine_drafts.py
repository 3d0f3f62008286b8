"""A draft, right or wrong, changes nothing in what Moonshine says; a right one saves passes."""

import os
import threading
import wave
from pathlib import Path

import numpy as np
import pytest

from pipeline.adapters import flite
from pipeline.adapters.moonshine_model import FloatArray, MoonshineModel, _realigned, weights_folder
from voicegate.kernel.audio import Samples

CLIPS = Path(os.environ.get("VOICEGATE_TEST_SPEECH", Path(__file__).parents[5] / "shared" / "audio"))
LONG = "jfk.wav"
"""Decoded as far as segments go; of the others five seconds, because each is decoded thirteen times."""
needs_flite = pytest.mark.skipif(not flite.available(), reason="the voice needs libflite1")
needs_clips = pytest.mark.skipif(not (CLIPS / "index.csv").is_file(), reason="set VOICEGATE_TEST_SPEECH")


@pytest.fixture(scope="module")
def model() -> MoonshineModel:
    return MoonshineModel(weights_folder())


async def spoken(text: str, voice: str = "rms") -> Samples:
    speech = flite.FliteSpeech()
    try:
        return np.concatenate([chunk.samples async for chunk in speech.stream(text, voice=voice)])
    finally:
        await speech.aclose()


def clip(name: str) -> Samples:
    with wave.open(str(CLIPS / name)) as audio:
        return np.frombuffer(audio.readframes(audio.getnframes()), np.int16)


def heard(samples: Samples) -> FloatArray:
    """As the transcriber prepares it."""
    audio = samples.astype(np.float32) / 32768
    return np.pad(audio * np.float32(0.5 / np.abs(audio).max()), 3200)


def spoilt(tokens: list[int], random: np.random.Generator) -> list[int]:
    """A draft with one to five words put in, taken out or changed, and sometimes cut."""
    draft = list(tokens)
    for _ in range(random.integers(1, 6)):
        at, token = int(random.integers(0, len(draft) + 1)), int(random.integers(0, 32_768))
        taken, put = [(0, [token]), (1, []), (1, [token])][random.integers(3)]
        draft[at : at + taken] = put
    return draft[: random.integers(1, len(draft) + 2)]


def assert_drafts_change_nothing(model: MoonshineModel, audio: FloatArray, *, max_tokens: int) -> None:
    random, stop = np.random.default_rng(len(audio)), threading.Event()
    plain = model.decode(audio, max_tokens=max_tokens, stop=stop)
    own = list(plain.tokens)
    head = model.decode(audio[: audio.size * 2 // 3], max_tokens=max_tokens, stop=stop)
    wrong = [spoilt(own, random) for _ in range(4)]
    for draft in (own, own * 3, own[:-1], [*own[: len(own) // 2], 2], list(head.tokens), [2], [0], [40_000], *wrong):
        got = model.decode(audio, max_tokens=max_tokens, stop=stop, draft=draft)
        assert got == plain, draft
        assert got.passes <= len(own) + 3
    assert model.decode(audio, max_tokens=max_tokens, stop=stop, draft=own).passes == 1


@needs_flite
@pytest.mark.parametrize(
    "text", ["yes", "My name is Anna and I need some help.", "It costs one thousand two hundred and fifty dollars."]
)
async def test_drafts_change_nothing_of_what_a_voice_said(model: MoonshineModel, text: str) -> None:
    assert_drafts_change_nothing(model, heard(await spoken(text)), max_tokens=40)


@needs_clips
@pytest.mark.parametrize("name", [path.name for path in sorted(CLIPS.glob("*.wav"))])
def test_drafts_change_nothing_of_what_people_said(model: MoonshineModel, name: str) -> None:
    samples = clip(name)[: (15 if name == LONG else 5) * 16_000]
    assert_drafts_change_nothing(model, heard(samples), max_tokens=int(samples.size / 16_000 * 6.5) + 8)


@pytest.mark.parametrize("max_tokens", [1, 2, 5, 60])
def test_bounds_and_loops_end_a_drafted_text_as_any_other(model: MoonshineModel, max_tokens: int) -> None:
    """A bare tone makes the model repeat itself until a bound ends it."""
    at = np.arange(32_000)
    for hz in (180, 1000):
        tone = (np.sin(at * 2 * np.pi * hz / 16_000) * (at % 8000 < 5000) * 8000).astype(np.int16)
        assert_drafts_change_nothing(model, heard(tone), max_tokens=max_tokens)


@needs_flite
async def test_a_draft_that_ended_too_early_saves_what_it_has_right(model: MoonshineModel) -> None:
    """What was a finished sentence goes on, and the full stop does not stand in the way."""
    audio, stop = heard(await spoken("My name is Anna and I need some help.")), threading.Event()
    whole = model.decode(audio, max_tokens=40, stop=stop)
    full_stop, end = whole.tokens[-2:]
    stopped = [*whole.tokens[:4], full_stop, end]
    continued = model.decode(audio, max_tokens=40, stop=stop, draft=stopped)
    assert continued == whole
    assert continued.passes <= whole.passes - 3


def test_a_draft_with_a_changed_word_is_good_for_the_rest(model: MoonshineModel) -> None:
    assert _realigned([10, 11, 12, 13], 99, trusted=True) == [11, 12, 13]
    assert _realigned([10, 11, 12, 13], 99, trusted=False) == []
    assert _realigned([10, 11, 12, 13], 12, trusted=False) == [13], "two words fell out"
