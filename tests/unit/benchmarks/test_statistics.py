"""Percentiles and shares."""

from benchmarks.statistics import Spread, share, spread


def test_spread_of_a_known_row() -> None:
    assert spread([float(n) for n in range(101)]) == Spread(101, 50.0, 50.0, 90.0, 95.0, 99.0, 100.0)
    assert spread([]) is None


def test_shares_of_nothing_are_unknown() -> None:
    assert share(1, 3) == 33.3
    assert share(0, 0) is None
