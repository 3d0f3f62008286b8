"""The figures of the impaired network are what its definitions say."""

import numpy as np
import pytest

from benchmarks.impairment import Network, Outage
from benchmarks.webrtc_impaired import Arrival, Trace, encoded, through_buffer, through_receiver
from gateway.webrtc.counts import ReceiverCounts


def trace(delays_ms: dict[int, float], sent: int = 100, lost: int = 0) -> Trace:
    played = [Arrival(number, number * 0.02 + delay / 1000) for number, delay in delays_ms.items()]
    return Trace(sent, lost, played, 0, ReceiverCounts())


def test_delay_counts_from_the_first_sample_of_a_packet() -> None:
    assert Arrival(10, 0.25).delay_ms == pytest.approx(50)
    assert trace({0: 20, 1: 20, 2: 80}).delay_ms(50) == pytest.approx(20)


def test_missing_is_what_was_not_played_and_lost_what_never_came() -> None:
    measured = trace(dict.fromkeys(range(90), 20.0), lost=6)
    assert measured.missing_percent == pytest.approx(10)
    assert measured.lost_percent == pytest.approx(6)


@pytest.mark.parametrize(("slow_until", "recovery_s"), [(0, 0.0), (55, 0.18)])
def test_recovery_is_over_with_the_last_slow_packet(slow_until: int, recovery_s: float) -> None:
    """The outage is over at 1 s; packets 50 to 54 are 100 ms late."""
    outage = Outage(0.9, 0.1)
    delays = {number: 100.0 if 50 <= number < slow_until else 20.0 for number in range(100) if not 45 <= number < 50}
    assert trace(delays).recovery_s(outage) == pytest.approx(recovery_s, abs=0.001)


def test_a_clean_network_adds_nothing() -> None:
    clean = through_buffer(Network(), 1, 100)
    assert (clean.lost, len(clean.played), clean.concealed) == (0, 100, 0)
    assert clean.delay_ms(100) == pytest.approx(20)
    at_ticks = through_buffer(Network(), 1, 100, at_once=False)
    assert at_ticks.delay_ms(100) == pytest.approx(27), "the ticks are 7 ms after the packets"


def test_a_clip_goes_through_the_receiver_whole() -> None:
    clip = np.rint(8_000 * np.sin(2 * np.pi * 200 * np.arange(16_000) / 16_000)).astype(np.int16)
    packets = encoded(clip)
    assert len(packets) == 60, "a second, and 200 ms in which it fades"
    samples, counts = through_receiver(packets, Network(), 1)
    assert samples.size >= 60 * 320
    assert counts.lost == 0
    assert np.abs(samples[3_200:12_800]).max() > 4_000
