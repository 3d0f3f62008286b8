"""Words, gates and the decoder's bookkeeping of Moonshine."""

import asyncio
import csv
import os
import threading
import wave
from pathlib import Path

import numpy as np
import pytest

from pipeline.adapters import flite
from pipeline.adapters.moonshine import MoonshineConfig, MoonshineTranscriber, gated
from pipeline.adapters.moonshine_model import (
    Decoded,
    MoonshineModel,
    read_tokens,
    weights_folder,
)
from voicegate.kernel.audio import Samples
from voicegate.kernel.errors import ConfigError

CLIPS = Path(os.environ.get("VOICEGATE_TEST_SPEECH", Path(__file__).parents[5] / "shared" / "audio"))
needs_flite = pytest.mark.skipif(not flite.available(), reason="the voice needs libflite1")
needs_clips = pytest.mark.skipif(not (CLIPS / "index.csv").is_file(), reason="set VOICEGATE_TEST_SPEECH")


async def spoken(text: str, voice: str = "rms") -> Samples:
    speech = flite.FliteSpeech()
    try:
        return np.concatenate([chunk.samples async for chunk in speech.stream(text, voice=voice)])
    finally:
        await speech.aclose()


def clip(name: str) -> Samples:
    with wave.open(str(CLIPS / name)) as audio:
        return np.frombuffer(audio.readframes(audio.getnframes()), np.int16)


def decoded(text: str, *log_probabilities: float, complete: bool = True, repeats_only: bool = False) -> Decoded:
    return Decoded(text, (), log_probabilities, 0.8, complete, repeats_only)


def plain(text: str) -> str:
    return "".join(c for c in text.lower() if c.isalnum() or c == " ")


@needs_flite
@pytest.mark.parametrize("text", ["my name is anna", "thank you", "no", "what", "maybe", "five"])
async def test_short_words_of_a_clear_voice_are_not_dropped(moonshine: MoonshineTranscriber, text: str) -> None:
    # The voice's noise is random: of three ways to say it, the unluckiest may sound like the noise the gate is for.
    assert text in [plain((await moonshine.transcribe(await spoken(text))).text) for _ in range(3)]


@needs_flite
@pytest.mark.parametrize("gain", [0.02, 0.2, 1.0])
async def test_the_level_does_not_matter(moonshine: MoonshineTranscriber, gain: float) -> None:
    samples = ((await spoken("My name is Anna.")) * gain).astype(np.int16)
    assert (await moonshine.transcribe(samples)).text == "My name is Anna."


@needs_clips
async def test_clips_of_people_stay_below_eight_percent_wrong_words(moonshine: MoonshineTranscriber) -> None:
    import jiwer
    from whisper_normalizer.english import EnglishTextNormalizer

    normal = EnglishTextNormalizer()
    with (CLIPS / "index.csv").open() as index:
        rows = [row for row in csv.DictReader(index) if row["kind"] == "speech"]
    texts = [(await moonshine.transcribe(clip(row["file"]))).text for row in rows]
    assert jiwer.wer([normal(row["reference"]) for row in rows], [normal(text) for text in texts]) < 0.08


@needs_clips
@pytest.mark.parametrize("name", ["noise1.wav", "noise2.wav"])
@pytest.mark.parametrize("seconds", [0.6, 1.5, 4.0])
async def test_noise_is_not_words(moonshine: MoonshineTranscriber, name: str, seconds: float) -> None:
    samples = clip(name)
    for start in range(0, samples.size - int(seconds * 16000), 32_000):
        assert (await moonshine.transcribe(samples[start : start + int(seconds * 16000)])).text == ""


@pytest.mark.parametrize("kind", ["nothing", "hiss", "hum", "clicks"])
@pytest.mark.parametrize("seconds", [0.3, 1.0, 3.0])
async def test_made_noise_is_not_words(moonshine: MoonshineTranscriber, kind: str, seconds: float) -> None:
    at = np.arange(int(seconds * 16000))
    samples = {
        "nothing": np.zeros(at.size),
        "hiss": np.random.default_rng(1).normal(size=at.size) * 300,
        "hum": np.sin(at * 2 * np.pi * 50 / 16000) * 500,
        "clicks": np.where(at % 8000 < 40, 9000, 0),
    }[kind].astype(np.int16)
    assert (await moonshine.transcribe(samples)).text == ""


@needs_clips
async def test_a_whole_sentence_ends_more_surely_than_a_cut_one(moonshine: MoonshineTranscriber) -> None:
    samples = clip("sb_example1.wav")
    whole = await moonshine.transcribe(samples)
    cut = await moonshine.transcribe(samples[: int(2.15 * 16000)])
    assert whole.end_probability is not None
    assert cut.end_probability is not None
    assert whole.end_probability > 0.85
    assert cut.end_probability < whole.end_probability - 0.1


async def test_digital_silence_does_not_reach_the_model(moonshine: MoonshineTranscriber) -> None:
    got = await moonshine.transcribe(np.full(16_000, 20, np.int16))
    assert (got.text, got.confidence) == ("", None)


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (decoded("Yes.", -0.1, -0.2), "Yes."),
        (decoded("Hello.", -0.8), "Hello."),
        (decoded("Hello.", -1.0), ""),
        (decoded("You", -0.04), ""),
        (decoded("You.", -0.5), "You."),
        (decoded("Thank you.", -0.2), "Thank you."),
        (decoded("Thank you.", -0.4), "Thank you."),
        (decoded("Thank you.", -0.5), ""),
        (decoded("♪♪", -0.1), ""),
        (decoded("...", -0.1), ""),
        (decoded("اللَّه", -0.1), ""),
        (decoded("Zoë is naïve.", -0.1), "Zoë is naïve."),
        (decoded("la la", -0.1, complete=False, repeats_only=True), ""),
        (decoded("And then a man, a man,", -0.1, complete=False), "And then a man, a man,"),
        (decoded(""), ""),
    ],
)
def test_the_gate(result: Decoded, text: str) -> None:
    got = gated(result, MoonshineConfig(), speech_s=1.0)
    assert got.text == text
    if not text:
        assert got.end_probability == 0.0


@pytest.mark.parametrize(("speech_s", "text"), [(1.0, "Thank you."), (2.5, "")])
def test_a_stock_phrase_in_a_long_stretch_must_be_surer(speech_s: float, text: str) -> None:
    assert gated(decoded("Thank you.", -0.4), MoonshineConfig(), speech_s=speech_s).text == text


def test_the_token_table_has_long_entries_and_bytes() -> None:
    long = b"x" * 130
    data = b"\x05<unk>" + b"\x01\x00" + bytes([130 - 128 + 128, 1]) + long + b"\x03abc"
    assert read_tokens(data) == [b"<unk>", b"\x00", long, b"abc"]
    tokens = read_tokens((weights_folder() / "tokenizer.bin").read_bytes())
    assert len(tokens) == 32_768
    assert tokens[3 + ord("A")] == b"A"


def run(model: MoonshineModel, ids: list[int], *, ended: bool) -> Decoded:
    """What the model makes of a row of tokens, as if it had decoded them."""
    ids = [*ids, 2] if ended else ids
    return model._decoded(ids, [-0.1] * len(ids), [0.5] * len(ids))


@pytest.fixture(scope="module")
def model() -> MoonshineModel:
    return MoonshineModel(weights_folder())


def test_a_loop_that_ran_into_the_bound_is_told_once(model: MoonshineModel) -> None:
    head, phrase = [400, 500, 600], [701, 702, 703, 704]
    once = run(model, head + phrase, ended=True)
    looped = run(model, head + phrase * 5 + phrase[:2], ended=False)
    assert looped.text == once.text
    assert not looped.repeats_only
    assert run(model, phrase * 6, ended=False).repeats_only


def test_what_ended_by_itself_is_never_cut(model: MoonshineModel) -> None:
    one = run(model, [900], ended=True).text
    assert run(model, [900] * 10, ended=True).text.count(one) == 10


def test_the_bound_and_the_stop_end_decoding(model: MoonshineModel) -> None:
    hiss = np.random.default_rng(0).normal(size=48_000).astype(np.float32) * 0.1
    short = model.decode(hiss, max_tokens=1, stop=threading.Event())
    assert len(short.log_probabilities) == 1
    assert not short.complete
    stopped = threading.Event()
    stopped.set()
    assert model.decode(hiss, max_tokens=9, stop=stopped).log_probabilities == ()


async def test_missing_weights_are_named(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.bin").write_bytes(b"")
    before = set(threading.enumerate())
    with pytest.raises(ConfigError, match=r"encoder_model\.ort, decoder_model_merged\.ort"):
        await MoonshineTranscriber(MoonshineConfig(folder=tmp_path)).open()
    await asyncio.sleep(0)
    left = set(threading.enumerate()) - before
    assert not [thread for thread in left if thread.name.startswith("moonshine")]
