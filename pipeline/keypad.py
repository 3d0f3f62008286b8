"""Telephone keys of the caller: those that are pressed one soon after the other are one entry."""

import asyncio
from collections.abc import Callable

_PAUSE_S = 1.5
"""Our choice: people type numbers off paper."""


class Keypad:
    """One session's keys. ``entered`` gets each entry."""

    def __init__(self, entered: Callable[[str], None]) -> None:
        self._entered = entered
        self._keys = ""
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()

    @property
    def pending(self) -> bool:
        """An entry has begun."""
        return bool(self._keys)

    def press(self, key: str) -> None:
        """One of ``0-9 * # A-D``. An entry is over after a pause, or with ``#``."""
        self._keys += key
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(0.0 if key == "#" else _PAUSE_S, self._over)

    def forget(self) -> None:
        """What was pressed was not meant for us."""
        self._keys = ""
        if self._timer is not None:
            self._timer.cancel()

    def close(self) -> None:
        """The call is over; nobody gets entries any more, and a session that is done with is free at once."""
        self.forget()
        self._entered = _nobody

    def _over(self) -> None:
        keys, self._keys, self._timer = self._keys, "", None
        self._entered(keys)


def _nobody(_keys: str) -> None:
    """The call is over."""
