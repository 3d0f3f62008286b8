"""Token buckets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rate import Bucket, PeerBuckets


def test_a_burst_then_the_rate() -> None:
    bucket = Bucket(2.0, 4.0, 0.0)
    assert [bucket.take(1, 0.0) for _ in range(5)] == [True] * 4 + [False]
    assert bucket.wait_s(1, 0.0) == 0.5
    assert bucket.take(1, 0.5)
    assert not bucket.take(1, 0.5)
    assert [bucket.take(1, 100.0) for _ in range(5)] == [True] * 4 + [False], "it never holds more than the burst"


def test_overdraw_goes_into_debt_once() -> None:
    bucket = Bucket(1.0, 4.0, 0.0)
    assert bucket.overdraw(10, 0.0)
    assert not bucket.overdraw(0, 5.9)
    assert not bucket.take(0.5, 5.9)
    assert bucket.overdraw(3, 6.0)


@given(st.lists(st.tuples(st.floats(0, 2), st.floats(0, 3)), max_size=50))
def test_over_any_time_no_more_than_burst_and_rate(steps: list[tuple[float, float]]) -> None:
    bucket, now, taken = Bucket(3.0, 5.0, 0.0), 0.0, 0.0
    for wait, amount in steps:
        now += wait
        if bucket.take(amount, now):
            taken += amount
        assert taken <= 5.0 + 3.0 * now + 1e-6


def test_peers_do_not_share_and_memory_is_bounded() -> None:
    peers = PeerBuckets(1.0, 1.0, capacity=3)
    assert peers.wait_s("a", 0.0) == 0.0
    assert peers.wait_s("a", 0.0) == pytest.approx(1.0)
    assert peers.wait_s("b", 0.0) == 0.0
    for number in range(100):
        peers.wait_s(f"peer {number}", 0.0)
    assert len(peers) == 3


def test_a_peer_that_keeps_knocking_is_not_forgotten() -> None:
    peers = PeerBuckets(1.0, 1.0, capacity=2)
    peers.wait_s("a", 0.0)
    for number in range(10):
        peers.wait_s(f"other {number}", 0.0)
        assert peers.wait_s("a", 0.0) > 0
