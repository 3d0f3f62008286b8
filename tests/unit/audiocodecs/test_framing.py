import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiocodecs.framing import Framer


@pytest.mark.parametrize(("rate_hz", "size"), [(8_000, 160), (16_000, 320), (24_000, 480), (48_000, 960)])
def test_a_frame_is_20_ms(rate_hz: int, size: int) -> None:
    framer = Framer(rate_hz)
    frames = framer.push(np.arange(size * 2 + 1, dtype=np.int16))
    assert [frame.size for frame in frames] == [size, size]


@given(lengths=st.lists(st.integers(0, 700), max_size=12))
def test_frames_joined_are_the_input_padded_with_zeros(lengths: list[int]) -> None:
    total = sum(lengths)
    source = np.arange(1, total + 1, dtype=np.int16)
    framer = Framer(16_000)
    frames = [frame for piece in np.split(source, np.cumsum(lengths)) for frame in framer.push(piece)]
    frames += framer.flush()
    assert all(frame.shape == (320,) and frame.dtype == np.int16 for frame in frames)
    joined = np.concatenate([*frames, np.empty(0, np.int16)])
    assert np.array_equal(joined[:total], source)
    assert not joined[total:].any()
    assert joined.size - total < 320


def test_flush_leaves_nothing_behind() -> None:
    framer = Framer(8_000)
    framer.push(np.ones(1, np.int16))
    assert len(framer.flush()) == 1
    assert framer.flush() == []


def test_a_kept_rest_does_not_change_with_the_senders_array() -> None:
    framer = Framer(8_000)
    reused = np.full(100, 5, np.int16)
    framer.push(reused)
    reused[:] = 9
    assert framer.flush()[0][:100].tolist() == [5] * 100


def test_a_whole_frame_behind_a_rest_keeps_its_place() -> None:
    framer = Framer(8_000)
    framer.push(np.full(10, 1, np.int16))
    assert framer.push(np.full(160, 2, np.int16))[0].tolist() == [1] * 10 + [2] * 150


def test_what_is_not_a_whole_frame_is_pending() -> None:
    framer = Framer(16_000)
    assert framer.pending == 0
    framer.push(np.zeros(350, np.int16))
    assert framer.pending == 30
