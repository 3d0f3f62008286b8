"""The arithmetic of the ledger."""

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from control_api.credits.accounts import Lines, charge, give_back, grant, hold, top_up

MICRO = st.integers(0, 10**15)


def test_who_pays() -> None:
    assert charge(5, left=10, available=7).lines == {"held": -5, "spent": 5}
    assert charge(12, left=10, available=7).lines == {"held": -10, "available": -2, "spent": 12}
    assert charge(20, left=10, available=7).lines == {"held": -10, "available": -7, "owed": -3, "spent": 20}
    assert charge(0, left=10, available=7).lines == {}


def test_a_grant_pays_debts_first() -> None:
    assert grant(10, owed=0) == {"granted": -10, "available": 10}
    assert grant(10, owed=-4) == {"granted": -10, "owed": 4, "available": 6}
    assert grant(10, owed=-40) == {"granted": -10, "owed": 10}


def test_a_hold_is_filled_when_half_of_it_is_used() -> None:
    assert top_up(left=5, wanted=10, available=100) == 0
    assert top_up(left=4, wanted=10, available=100) == 6
    assert top_up(left=4, wanted=10, available=2) == 2
    assert top_up(left=0, wanted=10, available=0) == 0


@given(MICRO, MICRO, MICRO)
def test_all_of_a_cost_is_paid(cost: int, left: int, available: int) -> None:
    paid = charge(cost, left=left, available=available)
    assert sum(paid.lines.values()) == 0
    assert paid.lines.get("spent", 0) == cost == paid.hold + paid.beyond_hold
    assert 0 <= paid.hold <= left
    assert 0 <= paid.available <= available
    assert paid.owed == 0 or (paid.hold, paid.available) == (left, available), "only what is not there is owed"


class Ledger(RuleBasedStateMachine):
    """Whatever happens, in whatever order: nothing is lost, and nothing that must not falls below nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.accounts = dict.fromkeys(("available", "held", "spent", "granted", "owed"), 0)
        self.left = 0

    def move(self, lines: Lines) -> None:
        assert sum(lines.values()) == 0
        for kind, amount in lines.items():
            self.accounts[kind] += amount

    @rule(amount=st.integers(1, 10**6))
    def grant(self, amount: int) -> None:
        self.move(grant(amount, owed=self.accounts["owed"]))

    @rule(wanted=st.integers(0, 10**6))
    def fill(self, wanted: int) -> None:
        more = top_up(left=self.left, wanted=wanted, available=self.accounts["available"])
        self.left += more
        self.move(hold(more))

    @rule(cost=st.integers(0, 10**6))
    def spend(self, cost: int) -> None:
        paid = charge(cost, left=self.left, available=self.accounts["available"])
        self.left -= paid.hold
        self.move(paid.lines)

    @rule()
    def settle(self) -> None:
        self.move(give_back(self.left))
        self.left = 0

    @invariant()
    def adds_up(self) -> None:
        accounts = self.accounts
        assert sum(accounts.values()) == 0
        assert accounts["held"] == self.left
        assert min(accounts["available"], accounts["held"], accounts["spent"]) >= 0
        assert max(accounts["granted"], accounts["owed"]) <= 0


TestLedger = Ledger.TestCase
