from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiocodecs.pcm import ByteOrder, PcmDecoder, pcm_encode
from voicegate.kernel.audio import Samples


@pytest.mark.parametrize(("order", "wire"), [("little", b"\x01\x00\xff\x7f"), ("big", b"\x00\x01\x7f\xff")])
def test_bytes_stand_in_the_named_order(order: ByteOrder, wire: bytes) -> None:
    samples = np.array([1, 32767], np.int16)
    assert pcm_encode(samples, order) == wire
    decoded = PcmDecoder(order).push(wire)
    assert decoded.dtype == np.int16
    assert decoded.tolist() == [1, 32767]


@given(data=st.binary(max_size=64), places=st.lists(st.integers(0, 64), max_size=6))
def test_cuts_change_nothing(
    cuts: Callable[[bytes, list[int]], Iterator[bytes]], data: bytes, places: list[int]
) -> None:
    decoder = PcmDecoder()
    parts: list[Samples] = [decoder.push(piece) for piece in cuts(data, places)]
    assert np.array_equal(np.concatenate(parts), PcmDecoder().push(data))


def test_flush_drops_half_a_sample() -> None:
    decoder = PcmDecoder()
    assert decoder.push(b"\x01\x00\x02").tolist() == [1]
    assert decoder.flush().size == 0
    assert decoder.push(b"\x03\x00").tolist() == [3]
