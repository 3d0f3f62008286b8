"""Bookings of viewings: the store's port, and one that lives as long as the process."""

from dataclasses import dataclass
from datetime import date, time
from typing import Literal, Protocol, TypeAlias


@dataclass(frozen=True, slots=True)
class Viewing:
    """A booked visit of half an hour."""

    session_id: str
    home: str
    day: date
    at: time
    name: str


Booked: TypeAlias = Literal["booked", "moved", "taken"]


class ViewingStore(Protocol):
    """Keeps viewings. One viewing per home and time; a caller's new viewing of a home replaces the earlier one."""

    async def taken(self, home: str, day: date, *, but_by: str) -> frozenset[time]:
        """Times of that day at which the home is visited, but by the caller of session ``but_by``."""
        ...

    async def book(self, viewing: Viewing) -> Booked:
        """Book, or move the caller's viewing of that home; all or nothing."""
        ...

    async def cancel(self, session_id: str, home: str) -> Viewing | None:
        """Cancel the caller's viewing of a home; None if there is none."""
        ...


class ViewingsInMemory:
    """A store for one process. No await inside, so every method is atomic on the event loop."""

    def __init__(self) -> None:
        self._viewings: list[Viewing] = []

    @property
    def viewings(self) -> tuple[Viewing, ...]:
        return tuple(self._viewings)

    async def taken(self, home: str, day: date, *, but_by: str) -> frozenset[time]:
        return frozenset(v.at for v in self._viewings if (v.home, v.day) == (home, day) and v.session_id != but_by)

    async def book(self, viewing: Viewing) -> Booked:
        if viewing.at in await self.taken(viewing.home, viewing.day, but_by=viewing.session_id):
            return "taken"
        moved = await self.cancel(viewing.session_id, viewing.home)
        self._viewings.append(viewing)
        return "moved" if moved else "booked"

    async def cancel(self, session_id: str, home: str) -> Viewing | None:
        found = next((v for v in self._viewings if (v.session_id, v.home) == (session_id, home)), None)
        if found is not None:
            self._viewings.remove(found)
        return found
