"""How long a missing packet is waited for: what the network showed, no more, and not for ever."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.webrtc.patience import FIRST_PATIENCE_S, MAX_PATIENCE_S, MIN_PATIENCE_S, Patience


def after(orderly: int, patience: Patience | None = None) -> Patience:
    patience = patience or Patience()
    for _ in range(orderly):
        patience.in_order()
    return patience


def test_at_first_it_is_a_guess() -> None:
    assert Patience().seconds == pytest.approx(FIRST_PATIENCE_S, abs=0.006)


def test_a_network_that_keeps_the_order_is_not_waited_for() -> None:
    assert after(600).seconds == MIN_PATIENCE_S


@pytest.mark.parametrize("late_ms", [12, 33, 81, 114])
def test_it_covers_the_worst_that_was_seen_lately_with_5_ms_to_spare_at_most(late_ms: int) -> None:
    patience = after(600)
    patience.came(late_ms / 1000)
    assert late_ms < patience.seconds * 1000 <= late_ms + 5


def test_it_grows_at_once_and_shrinks_within_seconds() -> None:
    patience = after(600)
    patience.came(0.08)
    assert after(200, patience).seconds > 0.08
    assert after(200, patience).seconds == MIN_PATIENCE_S


def test_even_a_long_bad_time_is_forgotten_within_a_minute() -> None:
    patience = Patience()
    for _ in range(500):
        patience.came(0.09)
    assert after(2_000, patience).seconds == MIN_PATIENCE_S


def test_days_do_not_wear_it_out() -> None:
    patience = Patience()
    for number in range(20_000):
        patience.came(0.03) if number % 10 == 0 else patience.in_order()
    assert patience.seconds == pytest.approx(0.035)


@given(st.lists(st.none() | st.floats(0, 3), max_size=60))
def test_it_stays_within_its_bounds(seen: list[float | None]) -> None:
    patience = Patience()
    for late_s in seen:
        patience.in_order() if late_s is None else patience.came(late_s)
        assert MIN_PATIENCE_S <= patience.seconds <= MAX_PATIENCE_S
