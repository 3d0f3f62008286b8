"""Histograms that can be added up."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_api.analytics.histogram import BUCKETS, PER_DOUBLING, begin_ms, bucket_of, merged, percentile_ms

VALUES = st.lists(st.floats(min_value=0, max_value=60_000), min_size=1, max_size=60)
SHARES = st.sampled_from([0.0, 0.5, 0.9, 0.95, 0.99, 1.0])
WIDTH = 2 ** (1 / PER_DOUBLING)


def counted(values: list[float]) -> dict[int, int]:
    return merged({bucket_of(value): 1} for value in values)


@pytest.mark.parametrize(
    ("milliseconds", "bucket"),
    [
        (0, 0),
        (-5, 0),
        (1, 0),
        (math.nan, 0),
        (2, PER_DOUBLING),
        (1000, 159),
        (62_768, BUCKETS - 1),
        (1e12, BUCKETS - 1),
        (math.inf, BUCKETS - 1),
    ],
)
def test_buckets(milliseconds: float, bucket: int) -> None:
    assert bucket_of(milliseconds) == bucket


@given(st.floats(min_value=0, max_value=60_000))
def test_a_value_lies_in_its_bucket(milliseconds: float) -> None:
    bucket = bucket_of(milliseconds)
    assert begin_ms(bucket) * (1 - 1e-9) <= milliseconds <= begin_ms(bucket + 1) * (1 + 1e-9)


@given(st.lists(VALUES, max_size=5))
def test_adding_up_is_as_if_all_had_been_counted_together(parts: list[list[float]]) -> None:
    together = counted([value for part in parts for value in part])
    assert merged(counted(part) for part in parts) == together
    assert merged(counted(part) for part in reversed(parts)) == together
    assert merged([merged([counted(part) for part in parts[:2]]), *(counted(part) for part in parts[2:])]) == together


@given(VALUES, SHARES)
def test_a_percentile_is_right_to_a_bucket(values: list[float], share: float) -> None:
    true = sorted(values)[max(1, math.ceil(share * len(values))) - 1]
    found = percentile_ms(counted(values), share)
    assert found is not None
    assert abs(found - true) <= max(WIDTH, true * (WIDTH - 1)) * (1 + 1e-9)


def test_of_nothing_there_is_no_percentile() -> None:
    assert percentile_ms({}, 0.5) is None
    assert percentile_ms({3: 0}, 0.5) is None
