"""Numbers in words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.adapters.spoken_numbers import cardinal, clock, decimal, digits, ordinal, year


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "zero"),
        (19, "nineteen"),
        (20, "twenty"),
        (85, "eighty five"),
        (100, "one hundred"),
        (1200, "one thousand two hundred"),
        (450_000, "four hundred fifty thousand"),
        (1_000_001, "one million one"),
        (10**15, " ".join(["one", *["oh"] * 15])),
    ],
)
def test_cardinal(number: int, words: str) -> None:
    assert cardinal(number) == words


@given(st.integers(0, 10**15 - 1), st.integers(0, 10**15 - 1))
def test_two_numbers_are_never_said_alike(one: int, other: int) -> None:
    assert (cardinal(one) == cardinal(other)) == (one == other)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (1, "first"),
        (3, "third"),
        (5, "fifth"),
        (12, "twelfth"),
        (20, "twentieth"),
        (21, "twenty first"),
        (14, "fourteenth"),
    ],
)
def test_ordinal(number: int, words: str) -> None:
    assert ordinal(number) == words


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (1905, "nineteen oh five"),
        (1900, "nineteen hundred"),
        (2000, "two thousand"),
        (2007, "two thousand seven"),
        (2026, "twenty twenty six"),
    ],
)
def test_year(number: int, words: str) -> None:
    assert year(number) == words


def test_the_rest() -> None:
    assert digits("+44 20-7") == "four four two oh seven"
    assert decimal("1,200") == "one thousand two hundred"
    assert decimal("3.05") == "three point zero five"
    assert decimal(".5") == "zero point five"
    assert clock(10, 0) == "ten o'clock"
    assert clock(9, 5) == "nine oh five"
    assert clock(10, 30) == "ten thirty"
