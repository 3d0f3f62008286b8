"""New calls a second, from what the calls before them cost."""

import pytest

from gateway.pace import Pace, PaceConfig


def let_in(pace: Pace, knocks: int = 500) -> int:
    return sum(pace.take() for _ in range(knocks))


def test_before_anybody_judges_all_are_let_in() -> None:
    assert let_in(Pace()) == 500


@pytest.mark.parametrize(
    ("busy", "calls", "late", "most"),
    [
        pytest.param(0.0, 0, False, 50, id="nothing is known yet"),
        pytest.param(0.3, 4, False, 50, id="four calls say little"),
        pytest.param(0.0, 100, False, 50, id="a clock that stood still says nothing"),
        pytest.param(0.25, 50, False, 30, id="room for 120 more, a quarter of it"),
        pytest.param(0.84, 200, False, 2, id="hardly room"),
        pytest.param(1.2, 200, False, 2, id="more than busy: lateness has the last word"),
        pytest.param(0.1, 50, True, 10, id="the clock was late"),
    ],
)
def test_a_second(busy: float, calls: int, late: bool, most: int) -> None:
    pace = Pace()
    pace.judge(busy, calls, late=late)
    assert let_in(pace) == most
    pace.judge(busy, calls, late=late)
    assert let_in(pace) == most, "what was not taken, or was, says nothing about the next second"


def test_a_crowd_is_let_in_up_to_what_is_busy_enough_and_then_slowly() -> None:
    """Each call costs 0.5 % of the core; 170 of them are 85 %."""
    pace, calls, each_second = Pace(PaceConfig(first=20)), 0, []
    for _ in range(30):
        pace.judge(calls * 0.005, calls, late=False)
        each_second.append(let_in(pace))
        calls += each_second[-1]
    assert each_second[0] == 20
    assert max(each_second) < 40
    assert 165 <= calls <= 200
    assert each_second[-1] == 2
