"""What calls leave behind, from what a process said it held; and that all ways to call and to end come."""

from collections import Counter

import pytest

from benchmarks.fates import plan
from benchmarks.mixed_fates import Holdings, evaluate, slope


def holdings(calls: int, memory: float, **more: float) -> Holdings:
    return Holdings(calls, memory, **({"descriptors": 40, "threads": 9, "tasks": 7, "keys": 300} | more))  # type: ignore[arg-type]


def test_all_pairs_of_kind_and_fate_come() -> None:
    pairs = Counter(plan(number) for number in range(200))
    assert len(pairs) == 12
    assert pairs["webrtc", "killed"] == 2
    assert min(number for (kind, _), number in pairs.items() if kind != "webrtc") >= 20


def test_the_slope_is_that_of_all_moments() -> None:
    assert slope([holdings(1000 * n, 2e8 + 1.5e6 * n) for n in range(6)]) == pytest.approx(1500)
    assert slope([holdings(1000, 2e8)]) == 0


def test_nothing_left() -> None:
    moments = [holdings(1000, 2e8), holdings(2000, 2.01e8, descriptors=39)]
    outcome = evaluate(moments, (5, 5), Counter({"a": 2000}), Counter(), Counter({"kept": 5}))
    assert (outcome.clean, outcome.left, outcome.key_kinds) == (True, {}, {})


@pytest.mark.parametrize(
    ("last", "keys", "left"),
    [
        (holdings(2000, 2.0e8, tasks=8), 5, {"tasks": 1}),
        (holdings(2000, 2.0e8, threads=10, descriptors=41), 5, {"descriptors": 1, "threads": 1}),
        (holdings(2000, 2.0e8), 6, {"keys": 1}),
        (holdings(2000, 2.03e8), 5, {}),
    ],
)
def test_something_left(last: Holdings, keys: int, left: dict[str, float]) -> None:
    outcome = evaluate([holdings(1000, 2e8), last], (5, keys), Counter(), Counter(), Counter({"kept": keys}))
    assert (outcome.clean, outcome.left) == (False, left)
