"""Putting numbered audio back into order with a small window. PURE."""

from collections.abc import Sequence
from typing import Final, Generic, TypeVar

WINDOW: Final = 5
"""Pieces that wait for one that is missing (our choice): 100 ms of the usual 20 ms pieces."""
_RESTART: Final = 50
"""A number so far behind is no late piece: the sender counts anew."""

T = TypeVar("T")


class Reorder(Generic[T]):
    """Numbers that rise by one, in any order, to the same in order."""

    def __init__(self) -> None:
        self._next: int | None = None
        self._waiting: dict[int, T] = {}

    def push(self, number: int, piece: T) -> Sequence[T] | None:
        """What can go on now, in order; empty while a piece is awaited; None where this one came twice or too late."""
        if self._next is None or number < self._next - _RESTART:
            self._next = number
            self._waiting.clear()
        if number < self._next or number in self._waiting:
            return None
        if number > self._next + _RESTART:  # a jump: nothing in between will come any more
            waiting = [self._waiting[each] for each in sorted(self._waiting)]
            self._waiting.clear()
            self._next = number + 1
            return [*waiting, piece]
        self._waiting[number] = piece
        if len(self._waiting) > WINDOW:
            self._next = min(self._waiting)  # what is missing is given up
        ready: list[T] = []
        while self._next in self._waiting:
            ready.append(self._waiting.pop(self._next))
            self._next += 1
        return ready
