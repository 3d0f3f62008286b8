"""The figures that calls must keep on bad networks, over many seeds of the model that the benchmark uses."""

import pytest

from benchmarks.impairment import Network, Outage
from benchmarks.webrtc_impaired import Trace, through_buffer

SEEDS = range(12)
PACKETS = 1_500
"""Half a minute."""
BAD = Network(loss=0.05, jitter_s=0.05)


@pytest.fixture(scope="module", params=[True, False], ids=["asked at once", "asked at ticks"])
def bad(request: pytest.FixtureRequest) -> list[Trace]:
    return [through_buffer(BAD, seed, PACKETS, at_once=request.param) for seed in SEEDS]


def test_with_5_per_cent_lost_and_50_ms_of_jitter_the_delay_stays_small(bad: list[Trace]) -> None:
    assert max(trace.delay_ms(95) for trace in bad) <= 110
    assert max(trace.delay_ms(50) for trace in bad) <= 75


def test_and_hardly_more_is_missing_than_was_lost(bad: list[Trace]) -> None:
    beyond = [trace.missing_percent - trace.lost_percent for trace in bad]
    assert max(beyond) <= 0.5
    assert sum(beyond) / len(beyond) <= 0.1


def test_what_is_missing_is_concealed_and_nothing_else(bad: list[Trace]) -> None:
    """A packet that is lost at the very end is noticed by nobody."""
    for trace in bad:
        assert trace.sent - len(trace.played) - trace.concealed in range(4)


@pytest.mark.parametrize("jitter_s", [0.0, 0.05], ids=["steady", "jitter"])
@pytest.mark.parametrize("held", [True, False], ids=["held up", "lost"])
@pytest.mark.parametrize("length_s", [0.06, 0.3, 2.0])
def test_an_outage_is_forgotten(length_s: float, held: bool, jitter_s: float) -> None:
    outage = Outage(10.0, length_s, held)
    for seed in SEEDS[:4]:
        trace = through_buffer(Network(jitter_s=jitter_s, outages=(outage,)), seed, PACKETS)
        assert trace.recovery_s(outage) <= 0.3
        lost = 0 if held else round(length_s * 50)
        assert trace.sent - len(trace.played) - lost in range(3)


@pytest.mark.parametrize("in_order", [True, False])
def test_reordering_and_duplication_cost_no_packet(in_order: bool) -> None:
    for seed in SEEDS:
        trace = through_buffer(Network(jitter_s=0.05, duplicated=0.2, in_order=in_order), seed, PACKETS)
        assert trace.missing_percent <= 0.15
        assert trace.delay_ms(95) <= 75


def test_a_worse_network_costs_more_delay_and_a_calm_one_none() -> None:
    worse = through_buffer(Network(loss=0.05, jitter_s=0.1), 1, PACKETS)
    calm = through_buffer(Network(loss=0.05), 1, PACKETS)
    assert worse.delay_ms(95) <= 150
    assert calm.delay_ms(90) <= 45
