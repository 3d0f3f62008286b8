"""The arithmetic of the ledger: which accounts a movement touches. PURE.

Every organisation has five accounts, in micro-credits, and the entries of a transfer add up to nothing:

======== ==================================================================== ========
account  what its balance is                                                  sign
======== ==================================================================== ========
granted  all that came in from outside                                        <= 0
available what new holds can be made of                                       >= 0
held     what is set aside for calls that run, and not used yet               >= 0
spent    all that calls have cost                                             >= 0
owed     what calls cost beyond all that was there; the next grant pays first <= 0
======== ==================================================================== ========
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from control_api.db.models.model import LedgerAccountKind

Lines: TypeAlias = Mapping[LedgerAccountKind, int]
"""Amounts by account, which add up to nothing."""


@dataclass(frozen=True, slots=True)
class Charge:
    """Who pays for a cost."""

    hold: int
    available: int
    owed: int

    @property
    def beyond_hold(self) -> int:
        return self.available + self.owed

    @property
    def lines(self) -> Lines:
        return _without_nothing(
            {
                "held": -self.hold,
                "available": -self.available,
                "owed": -self.owed,
                "spent": self.hold + self.available + self.owed,
            }
        )


def charge(cost: int, *, left: int, available: int) -> Charge:
    """A cost is paid by what is left of the call's hold, then by what is available; the rest is owed."""
    from_hold = min(cost, left)
    from_available = min(cost - from_hold, max(0, available))
    return Charge(from_hold, from_available, cost - from_hold - from_available)


def grant(amount: int, *, owed: int) -> Lines:
    """``owed``: the account's balance. Debts are paid first."""
    repaid = min(amount, -owed)
    return _without_nothing({"granted": -amount, "owed": repaid, "available": amount - repaid})


def hold(amount: int) -> Lines:
    """Set aside."""
    return _without_nothing({"available": -amount, "held": amount})


def give_back(amount: int) -> Lines:
    """The other way round."""
    return hold(-amount)


def top_up(*, left: int, wanted: int, available: int) -> int:
    """What to set aside for a call that has ``left``, so that it has ``wanted`` again: only when half is used up, so
    that a long call is not a transfer an event."""
    return min(wanted - left, max(0, available)) if 2 * left < wanted else 0


def _without_nothing(lines: dict[LedgerAccountKind, int]) -> Lines:
    return {kind: amount for kind, amount in lines.items() if amount}
