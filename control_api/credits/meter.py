"""A call's usage as its events tell it: the fold beside :class:`~control_api.conversations.story.Story`. PURE.

Events may come twice and in any order: what was written is not remembered here, because the ledger takes every
(hold, seq) once.
"""

from collections.abc import Sequence

from voicegate.kernel.events import Event, Usage


class Meter:
    """Usage that is not in the ledger yet."""

    def __init__(self) -> None:
        self._pending: dict[int, Usage] = {}

    def apply(self, event: Event) -> None:
        if isinstance(event, Usage):
            self._pending[event.seq] = event

    def pending(self) -> Sequence[Usage]:
        """In order of their numbers."""
        return [self._pending[seq] for seq in sorted(self._pending)]

    def written(self) -> None:
        """All of it is in the ledger."""
        self._pending.clear()
