"""A pass of many tokens is many passes of one, bit for bit, and what the shipped decoder says."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest

from pipeline.adapters.moonshine_decoder import MoonshineDecoder
from pipeline.adapters.moonshine_model import weights_folder
from voicegate.kernel.errors import ConfigError

FloatArray = npt.NDArray[np.float32]
FILE = weights_folder() / "decoder_model_merged.ort"
ROOM = 40


@pytest.fixture(scope="module")
def decoder() -> MoonshineDecoder:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return MoonshineDecoder(FILE, options)


def hidden(seed: int, frames: int = 90) -> FloatArray:
    """What the encoder makes of something that is not speech: as large as of speech, and never the same."""
    at = np.arange(frames * 384) / 16_000
    tone = 0.2 * np.sin(2 * np.pi * (120 + 60 * seed) * at) + np.random.default_rng(seed).normal(size=at.size) * 0.05
    encoder = onnxruntime.InferenceSession(
        str(weights_folder() / "encoder_model.ort"), providers=["CPUExecutionProvider"]
    )
    audio = tone.astype(np.float32)[np.newaxis]
    made: FloatArray = encoder.run(None, {"input_values": audio, "attention_mask": np.ones(audio.shape, np.int64)})[0][
        0
    ]
    return made


def tokens(seed: int, count: int) -> list[int]:
    return [1, *np.random.default_rng(seed).integers(300, 32_768, count - 1).tolist()]


def step_by_step(decoder: MoonshineDecoder, heard: FloatArray, ids: list[int]) -> FloatArray:
    segment = decoder.begin(heard, ROOM)
    return np.array([decoder.advance(segment, [one, 7], at)[0] for at, one in enumerate(ids)])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("count", [2, 3, 17, 36])
def test_many_tokens_in_one_pass_give_the_same_bits_as_one_a_pass(
    decoder: MoonshineDecoder, seed: int, count: int
) -> None:
    heard, ids = hidden(seed), tokens(seed, count)
    together = decoder.advance(decoder.begin(heard, ROOM), ids, 0)
    assert np.array_equal(together, step_by_step(decoder, heard, ids))


def test_a_wrong_guess_leaves_no_trace(decoder: MoonshineDecoder) -> None:
    heard, ids = hidden(5), tokens(5, 20)
    segment = decoder.begin(heard, ROOM)
    decoder.advance(segment, [*ids[:6], *tokens(6, 25)], 0)
    rest = decoder.advance(segment, ids[6:], 6)
    assert np.array_equal(rest, decoder.advance(decoder.begin(heard, ROOM), ids, 0)[6:])


def test_two_segments_at_once_do_not_mix(decoder: MoonshineDecoder) -> None:
    heard, ids = [hidden(1), hidden(2, frames=60)], tokens(1, 8)
    segments = [decoder.begin(one, ROOM) for one in heard]
    first = [decoder.advance(segment, ids[:4], 0) for segment in segments]
    second = [decoder.advance(segment, ids[4:], 4) for segment in segments]
    for one, head, tail in zip(heard, first, second, strict=True):
        assert np.array_equal(np.concatenate([head, tail]), step_by_step(decoder, one, ids))


def shipped(heard: FloatArray, ids: list[int]) -> FloatArray:
    """The logits of the decoder as it comes in the wheel, one token a run."""
    session = onnxruntime.InferenceSession(str(FILE), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    feed = {"encoder_hidden_states": heard[np.newaxis], "encoder_attention_mask": np.ones((1, heard.shape[0] * 500))}
    feed["encoder_attention_mask"] = feed["encoder_attention_mask"].astype(np.int64)
    for name in names[1:]:
        frames = 0 if ".decoder." in name else heard.shape[0]
        feed[name.replace("present", "past_key_values")] = np.zeros((1, 8, frames, 36), np.float32)
    rows = []
    for at, token in enumerate(ids):
        feed |= {"input_ids": np.array([[token]]), "use_cache_branch": np.array([at > 0])}
        got = dict(zip(names, session.run(names, feed), strict=True))
        rows.append(got["logits"][0, -1])
        kept = [name for name in names[1:] if at == 0 or ".decoder." in name]
        feed |= {name.replace("present", "past_key_values"): got[name] for name in kept}
    return np.array(rows)


@pytest.mark.parametrize("seed", range(3))
def test_it_says_what_the_shipped_decoder_says(decoder: MoonshineDecoder, seed: int) -> None:
    """Rounding differs in the last bit, which now and then moves a quantised value by a step; no more than that."""
    heard, ids = hidden(seed), tokens(seed, 12)
    ours, theirs = step_by_step(decoder, heard, ids), shipped(heard, ids)
    assert np.median(np.abs(ours - theirs)) < 0.1
    assert np.abs(ours - theirs).max() < 0.03 * np.ptp(theirs)


@pytest.mark.parametrize("name", ["encoder_model.ort", "tokenizer.bin"])
def test_another_file_is_no_decoder(name: str) -> None:
    with pytest.raises(ConfigError, match="not the decoder"):
        MoonshineDecoder(Path(weights_folder() / name), onnxruntime.SessionOptions())
