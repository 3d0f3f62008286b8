"""What one call has cost by its own events, and what follows from that. PURE.

It is counted here and not read from the ledger, so that a call knows at once; both come to the same sum, because both
price every event by itself (:mod:`sessions.prices`).
"""

from typing import Literal, TypeAlias

from sessions.budget import Budget
from sessions.prices import cost_micro, milli
from voicegate.kernel.events import Event, Usage

Verdict: TypeAlias = Literal["go_on", "warn", "end"]


class Spending:
    """Of one call, from its first event on; :meth:`take` the events of an earlier process too."""

    def __init__(self) -> None:
        self.used_micro = 0
        self._budget: Budget | None = None
        self._unpriced: list[Usage] = []
        self._warned = False

    def take(self, event: Event) -> None:
        """Count one event, once."""
        if not isinstance(event, Usage):
            return
        if self._budget is None:
            self._unpriced.append(event)
        else:
            self._add(event, self._budget)

    def allow(self, budget: Budget) -> None:
        """This is what the call may cost from now on."""
        self._budget = budget
        for usage in self._unpriced:
            self._add(usage, budget)
        self._unpriced.clear()

    @property
    def tight(self) -> bool:
        """There is so little left that the newest budget should be read."""
        return self._budget is not None and self._left_micro(self._budget) <= self._budget.warn_micro

    def verdict(self) -> Verdict:
        """What is to be done now; a warning is given once."""
        budget = self._budget
        if budget is None or not self.tight:
            return "go_on"
        if self._left_micro(budget) <= budget.end_micro:
            return "end"
        if self._warned:
            return "go_on"
        self._warned = True
        return "warn"

    def _left_micro(self, budget: Budget) -> int:
        return budget.limit_micro - self.used_micro

    def _add(self, usage: Usage, budget: Budget) -> None:
        self.used_micro += cost_micro(budget.prices, usage.stage, usage.provider, usage.unit, milli(usage.quantity))
