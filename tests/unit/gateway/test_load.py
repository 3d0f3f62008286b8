"""Load levels from lateness, second by second."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.load import NOTICES, LoadConfig, LoadGauge, LoadLevel

ON_TIME, LATE, VERY_LATE, SO_SO = 0.001, 0.02, 0.1, 0.01
N, I, D, F, S = LoadLevel  # noqa: E741 - the five levels, as columns of a table


def second(gauge: LoadGauge, lateness_s: float, *, ticks: int = 200, share: float = 1.0) -> LoadLevel:
    for tick in range(ticks):
        gauge.observe(lateness_s if tick < ticks * share else 0.0)
    return gauge.judge()


@pytest.mark.parametrize(
    ("seconds", "levels"),
    [
        ([ON_TIME] * 3, [N, N, N]),
        ([LATE] * 5, [I, D, F, F, F]),
        ([VERY_LATE] * 3, [D, S, S]),
        ([LATE, LATE, LATE, VERY_LATE, LATE], [I, D, F, S, S]),
        ([LATE, ON_TIME, ON_TIME], [I, I, N]),
        ([LATE, ON_TIME, LATE, ON_TIME, ON_TIME], [I, I, D, D, I]),
        ([LATE, LATE, LATE, ON_TIME, ON_TIME, SO_SO, ON_TIME, ON_TIME, ON_TIME], [I, D, F, F, D, D, D, I, N]),
        ([LATE, ON_TIME, SO_SO, ON_TIME, ON_TIME], [I, I, I, I, N]),
        ([VERY_LATE, VERY_LATE] + [ON_TIME] * 6, [D, S, S, F, D, I, N, N]),
    ],
)
def test_seconds_move_the_level(seconds: list[float], levels: list[LoadLevel]) -> None:
    gauge = LoadGauge()
    assert [second(gauge, each) for each in seconds] == levels
    assert gauge.full is (levels[-1] in (F, S))


def test_a_few_late_ticks_are_no_load() -> None:
    gauge = LoadGauge()
    assert second(gauge, VERY_LATE, share=0.09) is N
    assert second(gauge, VERY_LATE, share=0.1) is D


def test_one_late_tick_among_few_is_not_enough_and_a_second_without_ticks_is_good() -> None:
    gauge = LoadGauge()
    second(gauge, LATE)
    assert [gauge.judge(), gauge.judge()] == [I, N]


def test_a_busy_process_sheds_before_it_is_late_but_refuses_nobody() -> None:
    gauge = LoadGauge()
    busy = [0.76, 0.9, 1.0, 0.7, 0.7, 0.6, 0.6, 0.6, 0.6]
    assert [gauge.judge(each) for each in busy] == [I, D, D, D, D, D, D, I, N]
    assert not gauge.late
    second(gauge, LATE)
    assert gauge.late


def test_a_busy_second_among_others_is_chance() -> None:
    gauge = LoadGauge()
    assert [gauge.judge(each) for each in [0.5, 0.5, 0.9, 0.5, 0.8, 0.5, 0.9, 0.5]] == [N] * 8
    assert [gauge.judge(each) for each in [0.8, 0.8, 0.8, 0.5, 0.5, 0.5, 0.5]] == [N, N, I, I, I, N, N]


def test_zero_turns_it_off() -> None:
    gauge = LoadGauge(LoadConfig(late_s=0.0))
    assert [second(gauge, VERY_LATE) for _ in range(3)] == [N, N, N]
    assert gauge.judge(1.0) is N


def test_every_level_has_words() -> None:
    assert set(NOTICES) == set(LoadLevel)


@given(st.lists(st.lists(st.floats(0, 1), max_size=30), max_size=30))
def test_ten_good_seconds_bring_any_history_back_to_normal(history: list[list[float]]) -> None:
    gauge = LoadGauge()
    for lateness in history:
        for each in lateness:
            gauge.observe(each)
        gauge.judge()
    for _ in range(10):
        second(gauge, ON_TIME)
    assert gauge.level is N
