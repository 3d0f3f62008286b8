from datetime import date, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.adapters.local.calendar import read_day, read_time, say_day, say_time
from pipeline.adapters.local.words import tokens

FRIDAY = date(2026, 11, 20)


@pytest.mark.parametrize(
    ("said", "day"),
    [
        ("today", FRIDAY),
        ("tomorrow", date(2026, 11, 21)),
        ("tomorow please", date(2026, 11, 21)),
        ("the day after tomorrow", date(2026, 11, 22)),
        ("monday", date(2026, 11, 23)),
        ("on wensday", date(2026, 11, 25)),
        ("friday", date(2026, 11, 27)),
        ("next tuesday", date(2026, 11, 24)),
        ("this weekend", date(2026, 11, 21)),
        ("in three days", date(2026, 11, 23)),
        ("in two weeks", date(2026, 12, 4)),
        ("the twenty third", date(2026, 11, 23)),
        ("the fourteenth", date(2026, 12, 14)),
        ("december third", date(2026, 12, 3)),
        ("the 3rd of december", date(2026, 12, 3)),
        ("january the fifth", date(2027, 1, 5)),
        ("not thursday friday", date(2026, 11, 27)),
        ("the second one", None),
        ("the second house", None),
        ("two bedrooms", None),
        ("i have a son", None),
    ],
)
def test_days(said: str, day: date | None) -> None:
    assert read_day(tokens(said), FRIDAY, awaited=True) == day


def test_next_weekday_of_this_week_is_the_week_after() -> None:
    assert read_day(("next", "friday"), date(2026, 11, 17), awaited=False) == date(2026, 11, 27)


@pytest.mark.parametrize(
    ("said", "awaited", "clock"),
    [
        ("at three", False, time(15)),
        ("three", True, time(15)),
        ("three", False, None),
        ("half past two", False, time(14, 30)),
        ("quarter to four", False, time(15, 45)),
        ("ten past nine", False, time(9, 10)),
        ("10:30", False, time(10, 30)),
        ("ten thirty", False, time(10, 30)),
        ("three p.m.", False, time(15)),
        ("9 am", False, time(9)),
        ("eleven in the morning", False, time(11)),
        ("two o'clock", False, time(14)),
        ("noon", False, time(12)),
        ("in the afternoon", True, time(14)),
        ("in the afternoon", False, None),
        ("two bedrooms", False, None),
        ("25:99", False, None),
    ],
)
def test_times(said: str, awaited: bool, clock: time | None) -> None:
    assert read_time(tokens(said), awaited) == clock


@given(st.integers(2, 59))
def test_a_day_said_back_is_understood_as_the_same_day(ahead: int) -> None:
    day = FRIDAY + timedelta(days=ahead)
    assert read_day(tokens(say_day(day, FRIDAY)), FRIDAY, awaited=True) == day


@given(st.integers(8, 19), st.sampled_from([0, 15, 30, 45]))
def test_a_time_said_back_is_understood_as_the_same_time(hour: int, minute: int) -> None:
    clock = time(hour, minute)
    said = say_time(clock)
    if hour in (8, 19) or (hour, minute) == (18, 45):
        return  # outside the hours in which a bare hour has one meaning
    assert read_time(tokens(said), awaited=True) == clock or clock.hour >= 20
