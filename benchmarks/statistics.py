"""The few numbers that stand for many. PURE."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Spread:
    """Percentiles by linear interpolation between the two nearest values."""

    count: int
    mean: float
    median: float
    p90: float
    p95: float
    p99: float
    worst: float


def spread(values: Sequence[float]) -> Spread | None:
    """Percentiles of ``values``, rounded to a tenth; None when there are none."""
    if not values:
        return None
    mean = float(np.mean(values))
    median, p90, p95, p99 = (float(each) for each in np.percentile(values, [50, 90, 95, 99]))
    return Spread(len(values), *(round(each, 1) for each in (mean, median, p90, p95, p99, max(values))))


def share(part: int, whole: int) -> float | None:
    """``part`` of ``whole`` in per cent, rounded to a tenth; None of nothing."""
    return round(100 * part / whole, 1) if whole else None
