"""The figures of the overload benchmark, from what callers noted and what the gateway said of itself."""

from typing import Any

import pytest

from benchmarks.overload import Seen, evaluate, normal_after, stretch

TIMES = {"before": (0.0, 100.0), "overload": (100.0, 200.0), "after": (200.0, 230.0)}


def seen(*levels: tuple[float, int]) -> list[Seen]:
    return [Seen(at, level, 40, 0.8) for at, level in levels]


def turn(sent: float, latency_s: float, kind: str = "websocket") -> dict[str, Any]:
    return {"sent": sent, "answered": sent + latency_s if latency_s else -1.0, "kind": kind}


def book(**what: Any) -> dict[str, Any]:
    return {"refusals": [], "admitted": [], "turns": [], "notices": [], "failures": [], "late_ms": [0.5]} | what


def test_a_stretch_has_what_began_in_it() -> None:
    written = [
        book(turns=[turn(99.0, 9.0), turn(100.0, 0.7), turn(110.0, 0.8, "twilio"), turn(150.0, 0.0)]),
        book(refusals=[{"at": 120.0, "ms": 20.0}, {"at": 250.0, "ms": 900.0}], admitted=[{"at": 130.0}]),
    ]
    found = stretch("overload", 100.0, 200.0, written, [Seen(140.0, 3, 55, 0.9), Seen(300.0, 0, 99, 0.1)])
    assert found.latency_ms is not None
    assert found.refusal_ms is not None
    assert (found.questions, found.unanswered) == (3, 1)
    assert found.latency_ms.worst == pytest.approx(800)
    assert {kind: each.count if each else 0 for kind, each in found.by_kind_ms.items()} == {"websocket": 1, "twilio": 1}
    assert (found.admitted, found.refused, found.refusal_ms.worst, found.connections) == (1, 1, 20.0, 55)


@pytest.mark.parametrize(
    ("levels", "refusals", "after"),
    [
        (seen((190.0, 3), (201.0, 2), (203.0, 1), (205.0, 0), (210.0, 0)), [150.0, 202.0], 5.0),
        (seen((190.0, 0), (201.0, 0), (205.0, 0), (207.0, 0)), [206.0], 7.0),
        (seen((201.0, 0), (205.0, 0)), [], 1.0),
        (seen((201.0, 0), (205.0, 1)), [], None),
        (seen((190.0, 1)), [], None),
    ],
)
def test_normal_is_when_nothing_is_shed_and_nobody_refused_any_more(
    levels: list[Seen], refusals: list[float], after: float | None
) -> None:
    assert normal_after(200.0, levels, refusals) == after


def test_a_run_that_holds_and_one_that_does_not() -> None:
    usual, busy = [turn(at, 0.7) for at in range(50)], [turn(100 + at, 0.75) for at in range(50)]
    refusals = [{"at": 150.0, "ms": 30.0}]
    levels = seen((99.0, 0), (101.0, 0), (110.0, 1), (120.0, 3), (201.0, 2), (204.0, 0), (206.0, 0))
    told = [(90.0, "before"), (110.0, "shed"), (111.0, "shed")]
    good = evaluate(40, TIMES, [book(turns=usual + busy, refusals=refusals, notices=told)], levels)
    assert good.misses() == []
    assert good.worse == pytest.approx(0.071, abs=0.001)
    assert good.levels == [(1.0, 0), (10.0, 1), (20.0, 3), (101.0, 2), (104.0, 0)]
    assert good.notices == {"shed": 2}
    slow = [turn(100 + at, 0.9) for at in range(50)]
    late = [{"at": 150.0, "ms": 201.0}]
    bad = evaluate(40, TIMES, [book(turns=usual + slow, refusals=late, failures=["lost"])], levels[:-2])
    assert len(bad.misses()) == 4
    mute = evaluate(40, TIMES, [book()], levels)
    assert (mute.worse, len(mute.misses())) == (None, 2)
