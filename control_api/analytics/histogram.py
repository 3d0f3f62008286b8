"""Distributions of milliseconds as counts in fixed buckets, so that those of hours, agents and processes can be added
up and still give percentiles. PURE.

The buckets are logarithmic: sixteen to a doubling, from a millisecond to a minute. A percentile is therefore right to
within the width of a bucket, 4.4 %, whatever was added to what, and in whatever order.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import Final

PER_DOUBLING: Final = 16
BUCKETS: Final = 256
"""The last one takes all from 62.7 s (2 ** (255 / 16) ms) on."""

Histogram = Mapping[int, int]
"""Bucket to count; those that are missing count nothing."""


def bucket_of(milliseconds: float) -> int:
    """The bucket that a value belongs to; what is below 1 ms, or no number at all, belongs to the first."""
    if not milliseconds > 1:
        return 0
    if math.isinf(milliseconds):
        return BUCKETS - 1
    return min(BUCKETS - 1, int(math.log2(milliseconds) * PER_DOUBLING))


def begin_ms(bucket: int) -> float:
    """Where a bucket begins; it ends where the next one begins. The first begins at nothing."""
    return 2 ** (bucket / PER_DOUBLING) if bucket else 0.0


def merged(histograms: Iterable[Histogram]) -> dict[int, int]:
    """All of them added up."""
    sums: dict[int, int] = {}
    for each in histograms:
        for bucket, count in each.items():
            sums[bucket] = sums.get(bucket, 0) + count
    return sums


def percentile_ms(histogram: Histogram, share: float) -> float | None:
    """The value that ``share`` (0 to 1) of all values do not exceed; None where there are none.

    It is the nearest rank, as if the values of a bucket lay evenly in it.
    """
    total = sum(histogram.values())
    if total <= 0:
        return None
    rank = max(1, math.ceil(share * total))
    buckets = sorted(histogram)
    ends = list(accumulate(histogram[bucket] for bucket in buckets))
    index = bisect_left(ends, rank)
    bucket = buckets[index]
    within = 1 - (ends[index] - rank + 0.5) / histogram[bucket]
    return begin_ms(bucket) + within * (begin_ms(bucket + 1) - begin_ms(bucket))
