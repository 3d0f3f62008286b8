"""What usage costs."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessions.prices import DEFAULT_PRICES, MOST_MILLI, UNITS, cost_micro, milli, price_micro, read_prices


@pytest.mark.parametrize(
    ("quantity", "thousandths"),
    [
        (0, 0),
        (-3, 0),
        (math.nan, 0),
        (math.inf, 0),
        (0.0004, 0),
        (0.001, 1),
        (12.34, 12_340),
        (7, 7_000),
        (1e30, MOST_MILLI),
    ],
)
def test_thousandths(quantity: float, thousandths: int) -> None:
    assert milli(quantity) == thousandths


def test_a_provider_may_have_a_price_of_its_own() -> None:
    prices = {"tts/*/characters": 150, "tts/flite/characters": 0}
    assert price_micro(prices, "tts", "elevenlabs", "characters") == 150
    assert price_micro(prices, "tts", "flite", "characters") == 0
    assert price_micro(prices, "tts", "flite", "seconds") == 0, "what has no price is free"


@pytest.mark.parametrize(("price", "thousandths", "cost"), [(1_000, 10_000, 10_000), (3, 1, 1), (3, 334, 2), (0, 5, 0)])
def test_an_events_cost_is_rounded_up(price: int, thousandths: int, cost: int) -> None:
    assert cost_micro({"stt/*/seconds": price}, "stt", "x", "seconds", thousandths) == cost


@given(st.integers(0, 10**9), st.integers(0, MOST_MILLI))
def test_a_cost_is_never_too_little_nor_a_whole_micro_credit_too_much(price: int, thousandths: int) -> None:
    cost = cost_micro({"stt/*/seconds": price}, "stt", "x", "seconds", thousandths)
    assert 0 <= cost * 1000 - price * thousandths < 1000


def test_every_unit_has_a_price() -> None:
    assert {f"{stage}/*/{unit}" for stage, units in UNITS.items() for unit in units} == DEFAULT_PRICES.keys()


def test_prices_are_changed_one_by_one() -> None:
    read = read_prices(" tts/flite/characters=0, session/*/seconds = 7 ,")
    assert read == {**DEFAULT_PRICES, "tts/flite/characters": 0, "session/*/seconds": 7}
    assert read_prices("") == DEFAULT_PRICES


@pytest.mark.parametrize(
    "text",
    ["x", "tts/characters=1", "tts//characters=1", "tts/*/seconds=1", "fax/*/pages=1", "tts/*/characters", *(
        f"tts/*/characters={price}" for price in ("", "-1", "1.5", "x", "²", "1" * 13)
    )],
)  # fmt: skip
def test_what_is_no_price_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not stage/provider/unit|a whole number"):
        read_prices(text)
