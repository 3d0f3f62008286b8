from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiocodecs.resample import Resampler, resample_whole
from voicegate.kernel.audio import Samples
from voicegate.kernel.errors import AudioError

RATES = [
    (8_000, 16_000),
    (16_000, 8_000),
    (24_000, 16_000),
    (48_000, 16_000),
    (16_000, 24_000),
    (16_000, 48_000),
    (22_050, 16_000),
    (44_100, 16_000),
]
Tone = Callable[..., Samples]


def convert(samples: Samples, from_hz: int, to_hz: int) -> Samples:
    resampler = Resampler(from_hz, to_hz)
    return np.concatenate([resampler.push(samples), resampler.flush()])


def level(samples: Samples, hz: float, rate_hz: int) -> tuple[float, float]:
    """Amplitude of a sine of ``hz`` in the middle of the samples, and RMS of all that is not it."""
    middle = samples[rate_hz // 50 : -rate_hz // 50].astype(np.float64)
    angle = 2 * np.pi * hz * np.arange(middle.size) / rate_hz
    basis = np.stack([np.sin(angle), np.cos(angle)], axis=1)
    weights = np.linalg.lstsq(basis, middle, rcond=None)[0]
    return float(np.hypot(*weights)), float(np.sqrt(np.mean((middle - basis @ weights) ** 2)))


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES)
@pytest.mark.parametrize("hz", [100, 1_000, 3_400])
def test_a_tone_in_the_band_keeps_its_level(tone: Tone, from_hz: int, to_hz: int, hz: int) -> None:
    amplitude, rest = level(convert(tone(from_hz, 0.5, hz), from_hz, to_hz), hz, to_hz)
    assert amplitude == pytest.approx(8000, rel=0.012)  # 0.1 dB
    assert rest < 8


@pytest.mark.parametrize(("from_hz", "to_hz", "hz"), [(16_000, 8_000, 4_200), (48_000, 16_000, 8_400)])
def test_a_tone_above_the_band_does_not_fold_back(tone: Tone, from_hz: int, to_hz: int, hz: int) -> None:
    folded = convert(tone(from_hz, 0.5, hz), from_hz, to_hz)[400:-400].astype(np.float64)
    assert np.sqrt(np.mean(folded**2)) < 8000 / 2**0.5 / 1000  # 60 dB


def test_doubling_the_rate_makes_no_image(tone: Tone) -> None:
    _, rest = level(convert(tone(8_000, 0.5, 3_400), 8_000, 16_000), 3_400, 16_000)
    assert rest < 8000 / 2**0.5 / 1000


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES)
def test_output_is_aligned_with_input_and_as_long(tone: Tone, from_hz: int, to_hz: int) -> None:
    source = tone(from_hz, 0.203, 500)
    out = convert(source, from_hz, to_hz)
    assert out.size == -(-source.size * to_hz // from_hz)
    expected = 8000 * np.sin(2 * np.pi * 500 * np.arange(out.size) / to_hz)
    inside = slice(to_hz // 100, -to_hz // 100)
    assert np.max(np.abs(out[inside] - expected[inside])) < 90


@given(
    rates=st.sampled_from(RATES),
    lengths=st.lists(st.integers(0, 900), max_size=8),
    seed=st.integers(0, 1000),
)
@settings(deadline=None)
def test_cuts_change_no_bit(rates: tuple[int, int], lengths: list[int], seed: int) -> None:
    source = np.random.default_rng(seed).integers(-32768, 32768, sum(lengths)).astype(np.int16)
    resampler = Resampler(*rates)
    parts = [resampler.push(piece) for piece in np.split(source, np.cumsum(lengths))]
    assert np.array_equal(np.concatenate([*parts, resampler.flush()]), convert(source, *rates))


@pytest.mark.parametrize(
    ("from_hz", "to_hz", "delay"),
    [(8_000, 16_000, 24), (16_000, 8_000, 48), (24_000, 16_000, 36), (48_000, 16_000, 72), (16_000, 24_000, 24)],
)
def test_the_delay_is_what_the_docstring_says(from_hz: int, to_hz: int, delay: int) -> None:
    resampler = Resampler(from_hz, to_hz)
    assert resampler.delay_samples == delay
    frame = np.zeros(from_hz // 50, np.int16)
    given_samples = sum(resampler.push(frame).size for _ in range(10))
    held = 10 * frame.size - given_samples * from_hz / to_hz
    assert delay - 2 <= held <= delay + 2


def test_a_long_push_goes_in_slices_with_the_same_result(voice: Samples) -> None:
    long = np.tile(voice, 8)
    resampler = Resampler(16_000, 8_000)
    parts = [resampler.push(piece) for piece in np.split(long, 100)]
    assert np.array_equal(np.concatenate([*parts, resampler.flush()]), convert(long, 16_000, 8_000))


def test_full_scale_clips_and_does_not_wrap() -> None:
    square = np.where(np.arange(4000) // 20 % 2, 32767, -32768).astype(np.int16)
    out = convert(square, 16_000, 48_000)
    assert out.max() == 32767
    assert out.min() == -32768
    high = np.repeat(square > 0, 3)
    assert np.all((out > 0)[30::60] == high[30::60])


def test_a_constant_comes_out_exact() -> None:
    out = convert(np.full(2000, 12_345, np.int16), 48_000, 16_000)
    assert set(out[50:-50].tolist()) == {12_345}


def test_equal_rates_pass_through_untouched(voice: Samples) -> None:
    resampler = Resampler(16_000, 16_000)
    assert resampler.delay_samples == 0
    assert resampler.push(voice) is voice
    assert resampler.flush().size == 0


def test_flush_makes_it_new(voice: Samples) -> None:
    resampler = Resampler(16_000, 8_000)
    first = np.concatenate([resampler.push(voice), resampler.flush()])
    second = np.concatenate([resampler.push(voice), resampler.flush()])
    assert np.array_equal(first, second)
    assert resampler.flush().size == 0


@pytest.mark.parametrize(("from_hz", "to_hz"), [(0, 16_000), (16_000, -1), (44_101, 16_000)])
def test_impossible_rates_are_refused(from_hz: int, to_hz: int) -> None:
    with pytest.raises(AudioError, match="cannot resample"):
        Resampler(from_hz, to_hz)


@pytest.mark.parametrize("from_hz", [8_000, 11_025, 44_101, 96_000])
def test_a_whole_recording_of_any_rate(tone: Tone, from_hz: int) -> None:
    out = resample_whole(tone(from_hz, 0.5, 1_000), from_hz, 16_000)
    assert out.dtype == np.int16
    assert abs(out.size - 8_000) <= 1
    amplitude, rest = level(out, 1_000, 16_000)
    assert amplitude == pytest.approx(8000, rel=0.01)
    assert rest < 8


def test_a_whole_recording_clips_and_rounds() -> None:
    square = np.where(np.arange(4000) // 20 % 2, 32767, -32768).astype(np.int16)
    out = resample_whole(square, 16_000, 48_000)
    assert (out.min(), out.max()) == (-32768, 32767)
    assert np.all((out > 0)[30::60] == np.repeat(square > 0, 3)[30::60])
    steady = resample_whole(np.full(2000, 12_345, np.int16), 16_000, 24_000)
    assert set(steady[200:-200].tolist()) == {12_345}


def test_a_whole_recording_comes_out_the_same_every_time(voice: Samples) -> None:
    assert np.array_equal(resample_whole(voice, 16_000, 24_000), resample_whole(voice, 16_000, 24_000))
    assert resample_whole(voice, 16_000, 16_000) is voice
    assert resample_whole(voice[:0], 8_000, 16_000).size == 0
