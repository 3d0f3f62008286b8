"""Our arithmetic says what the bundled graph says, whatever the batch."""

import importlib.util
import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest

from pipeline.adapters.silero_model import INPUT_SAMPLES, STATE_SIZE, WINDOW_SAMPLES, SileroModel, bundled_model
from pipeline.adapters.silero_weights import FloatArray
from voicegate.kernel.audio import Samples

SECONDS = 20
Windows = npt.NDArray[np.int16]


@pytest.fixture(scope="module")
def model() -> SileroModel:
    return SileroModel(bundled_model())


def speech() -> Samples:
    """Twenty seconds of the reader who comes with the embedded recogniser, every third sample of 48 kHz."""
    spec = importlib.util.find_spec("moonshine_voice")
    assert spec
    assert spec.origin
    with wave.open(str(Path(spec.origin).parent / "assets" / "two_cities.wav")) as file:
        assert (file.getframerate(), file.getnchannels()) == (48000, 1)
        return np.frombuffer(file.readframes(SECONDS * 48000), np.int16)[::3]


@pytest.fixture(scope="module")
def streams() -> Windows:
    """Consecutive windows of nine streams, each with the 64 samples before it, shape (9, windows, 576)."""
    rng, voice = np.random.default_rng(0), speech().astype(np.float64)
    at = np.arange(voice.size)
    sounds = [
        voice,
        voice * 0.01,
        voice * 30,
        voice + rng.normal(size=voice.size) * 1000,
        np.where(at // 8000 % 2, voice, 0),
        voice[::-1],
        rng.normal(size=voice.size) * 6000,
        np.zeros(voice.size),
        20_000 * np.sign(np.sin(at * 0.05)),
    ]
    samples = np.clip(np.stack(sounds), -32768, 32767).astype(np.int16)
    padded = np.pad(samples, ((0, 0), (INPUT_SAMPLES - WINDOW_SAMPLES, 0)))
    return np.lib.stride_tricks.sliding_window_view(padded, INPUT_SAMPLES, axis=1)[:, ::WINDOW_SAMPLES]


def in_batches(model: SileroModel, streams: Windows) -> FloatArray:
    """Probabilities, shape (streams, windows), all streams in one batch and the states carried on."""
    h = c = np.zeros((len(streams), STATE_SIZE), np.float32)
    got = []
    for step in range(streams.shape[1]):
        probabilities, h, c = model.run(streams[:, step], h, c)
        got.append(probabilities)
    return np.stack(got, axis=1)


def test_whole_streams_of_speech_and_noise_get_the_probabilities_of_the_bundled_graph(
    model: SileroModel, streams: Windows
) -> None:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    bundled = onnxruntime.InferenceSession(str(bundled_model()), options, providers=["CPUExecutionProvider"])
    zero = np.zeros((1, 1, STATE_SIZE), np.float32)
    floats = streams.astype(np.float32) / 32768
    alone = [bundled.run(None, {"input": stream, "h": zero, "c": zero})[0] for stream in floats]
    expected = np.stack(alone)
    assert 0.2 < np.mean(expected[0] > 0.5) < 0.9, "there must be speech and silence, or nothing is proven"
    assert np.abs(in_batches(model, streams) - expected).max() < 1e-5


@pytest.mark.parametrize("size", [1, 2, 7, 31, 64, 70])
def test_a_stream_gets_the_same_in_a_batch_of_any_size(model: SileroModel, streams: Windows, size: int) -> None:
    """More than there is room for included, and fewer after more."""
    short = np.stack([streams[0, 8 * turn : 8 * turn + 20] for turn in range(70)])
    everyone = in_batches(model, short)
    assert np.ptp(everyone) > 0.5
    assert np.abs(in_batches(model, short[:size]) - everyone[:size]).max() < 1e-5
    assert np.abs(in_batches(model, short[-size:]) - everyone[-size:]).max() < 1e-5


def test_int16_and_floats_of_one_are_the_same_sound(model: SileroModel, streams: Windows) -> None:
    windows, zero = streams[:, 70], np.zeros((9, STATE_SIZE), np.float32)
    whole, real = model.run(windows, zero, zero), model.run(windows.astype(np.float32) / 32768, zero, zero)
    for ours, theirs in zip(whole, real, strict=True):
        assert ours.dtype == np.float32
        assert np.abs(ours - theirs).max() < 1e-6


def test_what_a_call_gave_is_the_callers_own(model: SileroModel, streams: Windows) -> None:
    """The arrays a batch is computed in are used again; neither results nor states may lie in them."""
    h, c = (np.full((9, STATE_SIZE), value, np.float32) for value in (0.1, 0.2))
    given = model.run(streams[:, 70], h, c)
    kept = [array.copy() for array in given]
    model.run(streams[:, 90], *given[1:])
    assert all(np.array_equal(array, copy) for array, copy in zip(given, kept, strict=True))
    assert np.ptp(h) == np.ptp(c) == 0, "states that come in are only read"
