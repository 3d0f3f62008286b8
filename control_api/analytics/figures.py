"""From sums to what is shown."""

from collections.abc import Iterable, Mapping

from control_api.analytics.histogram import Histogram, begin_ms, percentile_ms
from control_api.analytics.schemas import Bucket, Counts, Part, Percentiles, StageLatency
from control_api.analytics.tally import (
    CALLS,
    COST,
    ENDED,
    ERRORS,
    INTERRUPTIONS,
    SECONDS,
    STAGES,
    TURNS,
    measure_of,
)

Sums = Mapping[tuple[str, str], int]
"""(measure, key) to amount."""

COUNTED = (CALLS, ENDED, SECONDS, COST, TURNS, INTERRUPTIONS, ERRORS, measure_of("total"))
"""What :func:`counts` and the percentiles beside it are made of."""
_FAILED = frozenset({"error", "lost"})


def total(sums: Sums, measure: str) -> int:
    return sum(amount for (name, _), amount in sums.items() if name == measure)


def parts(sums: Sums, measure: str) -> list[Part]:
    """The keys of a measure, the most frequent first."""
    found = [(key, amount) for (name, key), amount in sums.items() if name == measure and amount]
    return [Part(key=key, count=amount) for key, amount in sorted(found, key=lambda each: (-each[1], each[0]))]


def ratio(amount: int, of: int) -> float | None:
    return amount / of if of else None


def counts(sums: Sums) -> Counts:
    calls, turns, cost = total(sums, CALLS), total(sums, TURNS), total(sums, COST)
    interruptions, errors = total(sums, INTERRUPTIONS), total(sums, ERRORS)
    return Counts(
        calls=calls,
        ended=total(sums, ENDED),
        failed=sum(sums.get((ENDED, reason), 0) for reason in _FAILED),
        turns=turns,
        interruptions=interruptions,
        errors=errors,
        minutes=round(total(sums, SECONDS) / 60_000, 3),
        cost_micro=cost,
        interruption_rate=ratio(interruptions, turns),
        error_rate=ratio(errors, turns),
        cost_per_call_micro=cost // calls if calls else None,
    )


def histogram(sums: Sums, measure: str) -> Histogram:
    return {int(key): amount for (name, key), amount in sums.items() if name == measure and amount > 0}


def percentiles(found: Histogram) -> Percentiles:
    return Percentiles(
        count=sum(found.values()),
        p50_ms=percentile_ms(found, 0.5),
        p90_ms=percentile_ms(found, 0.9),
        p95_ms=percentile_ms(found, 0.95),
        p99_ms=percentile_ms(found, 0.99),
    )


def stages(sums: Sums) -> list[StageLatency]:
    found = [(stage, histogram(sums, measure_of(stage))) for stage in STAGES]
    return [
        StageLatency(stage=stage, buckets=_buckets(each), **percentiles(each).model_dump()) for stage, each in found
    ]


def split(rows: Iterable[tuple[object, str, str, int]]) -> dict[object, dict[tuple[str, str], int]]:
    """Rows of (what they are split by, measure, key, amount)."""
    found: dict[object, dict[tuple[str, str], int]] = {}
    for by, measure, key, amount in rows:
        found.setdefault(by, {})[measure, key] = int(amount)
    return found


def _buckets(found: Histogram) -> list[Bucket]:
    return [
        Bucket(from_ms=begin_ms(bucket), to_ms=begin_ms(bucket + 1), count=found[bucket]) for bucket in sorted(found)
    ]
