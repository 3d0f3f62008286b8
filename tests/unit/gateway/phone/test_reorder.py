"""Numbered pieces in any order, the same in order."""

import random

from hypothesis import given
from hypothesis import strategies as st

from gateway.phone.reorder import WINDOW, Reorder


def run(numbers: list[int]) -> list[int]:
    order: Reorder[int] = Reorder()
    return [piece for number in numbers for piece in order.push(number, number) or ()]


def test_neighbours_that_changed_places_are_put_back() -> None:
    assert run([5, 7, 6, 8, 10, 9]) == [5, 6, 7, 8, 9, 10]


def test_a_piece_that_never_comes_is_given_up() -> None:
    assert run([1, *range(3, 3 + WINDOW)]) == [1]
    assert run([1, *range(3, 4 + WINDOW)]) == [1, *range(3, 4 + WINDOW)]


def test_twice_and_too_late_are_told_from_awaited() -> None:
    order: Reorder[str] = Reorder()
    assert order.push(3, "c") == ["c"]
    assert order.push(3, "c") is None
    assert order.push(5, "e") == []
    assert order.push(5, "e") is None
    assert order.push(2, "b") is None


def test_a_count_that_begins_anew_or_jumps_is_followed() -> None:
    assert run([1000, 1001, 1, 2]) == [1000, 1001, 1, 2]
    assert run([1, 2, 4, 500, 501]) == [1, 2, 4, 500, 501]


@given(st.integers(1, 200), st.integers(0, 2**32))
def test_a_small_shuffle_loses_nothing(count: int, seed: int) -> None:
    shuffle = random.Random(seed)
    numbers = sorted(range(1, count), key=lambda number: number + shuffle.random() * (WINDOW - 1))
    assert run([0, *numbers]) == list(range(count))


@given(st.lists(st.integers(-10, 10**6), max_size=100))
def test_any_numbers_give_each_piece_once_at_most(numbers: list[int]) -> None:
    order: Reorder[int] = Reorder()
    given_out = [piece for index, number in enumerate(numbers) for piece in order.push(number, index) or ()]
    assert len(given_out) == len(set(given_out))
