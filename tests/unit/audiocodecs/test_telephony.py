"""Many telephone streams in one go give the bits that each gives alone."""

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiocodecs.registry import open_decoder
from audiocodecs.telephony import PACKET_BYTES, Law, TelephonyDecoder, decode_together
from voicegate.kernel.audio import Samples
from voicegate.kernel.errors import AudioTooLarge

LAWS: tuple[Law, ...] = ("pcmu", "pcma")


def stream(law: Law) -> TelephonyDecoder:
    return TelephonyDecoder(law, max_samples=16_000)


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(LAWS), st.integers(1, 5), st.lists(st.integers(0, 4), max_size=12), st.binary(min_size=1))
def test_together_or_alone_is_the_same_bit_for_bit(law: Law, count: int, odd: list[int], seed: bytes) -> None:
    """Streams whose packets are now and then of another length, which then go alone."""
    rng = np.random.default_rng(list(seed))
    together, alone = [stream(law) for _ in range(count)], [stream(law) for _ in range(count)]
    for step in range(6):
        packets = [rng.bytes(37 if step * count + n in odd else PACKET_BYTES) for n in range(count)]
        joining = [n for n in range(count) if together[n].joins(packets[n])]
        got: dict[int, Samples] = {}
        if joining:
            frames = decode_together(law, [together[n] for n in joining], [packets[n] for n in joining])
            got = dict(zip(joining, frames, strict=True))
        for n in range(count):
            expected = alone[n].push(packets[n])
            actual = got[n] if n in got else together[n].push(packets[n])
            assert actual.tolist() == expected.tolist()
    for one, other in zip(together, alone, strict=True):
        assert one.flush().tolist() == other.flush().tolist()


def test_loud_samples_are_clipped_and_not_wrapped() -> None:
    streams = [stream("pcmu"), stream("pcmu")]
    square = (b"\x80" * 8 + b"\x00" * 8) * 10
    for each in streams:
        each.push(square)
    frames = decode_together("pcmu", streams, [square, square])
    assert frames.max() == 32767
    assert frames.min() == -32768


def test_a_stream_joins_once_it_has_begun_and_with_whole_packets_only() -> None:
    one = stream("pcmu")
    packet = os.urandom(PACKET_BYTES)
    assert not one.joins(packet)
    one.push(packet)
    assert one.joins(packet)
    assert not one.joins(packet[1:])
    one.flush()
    assert not one.joins(packet)


def test_the_registry_opens_it_for_telephones_only() -> None:
    assert isinstance(open_decoder("pcmu", 8_000), TelephonyDecoder)
    assert isinstance(open_decoder("pcma", 8_000), TelephonyDecoder)
    assert not isinstance(open_decoder("pcmu", 16_000), TelephonyDecoder)


def test_a_message_over_the_bound_is_refused() -> None:
    with pytest.raises(AudioTooLarge):
        stream("pcma").push(bytes(8_001))
