import pytest

from pipeline.adapters.local.numbers import numbers, ordinal
from pipeline.adapters.local.words import tokens


@pytest.mark.parametrize(
    ("said", "values"),
    [
        ("two", [2]),
        ("twenty one", [21]),
        ("three thirty", [3, 30]),
        ("four hundred and fifty thousand", [450_000]),
        ("four hundred and fifty", [450]),
        ("a hundred thousand", [100_000]),
        ("450k", [450_000]),
        ("£285,000", [285_000]),
        ("fifteen hundred", [1500]),
        ("one million", [1_000_000]),
        ("two hundred thousand five hundred", [200_500]),
        ("between three hundred and three hundred fifty", [300, 350]),
        ("two bedrooms and one bath", [2, 1]),
        ("none at all", []),
    ],
)
def test_cardinals(said: str, values: list[int]) -> None:
    assert [number.value for number in numbers(tokens(said))] == values


@pytest.mark.parametrize(
    ("said", "value"), [("fourteenth", 14), ("twenty first", 21), ("3rd", 3), ("thirtieth", 30), ("fourteen", None)]
)
def test_ordinals(said: str, value: int | None) -> None:
    found = ordinal(tokens(said), 0)
    assert (found[0] if found else None) == value
