"""What a call has cost, and what follows."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from sessions.budget import Budget
from voicegate.kernel.events import Notice, Usage
from voicegate.kernel.ids import SessionId
from voicegate.spending import Spending

AT = datetime(2026, 1, 1, tzinfo=UTC)


def budget(limit_micro: int = 1_000) -> Budget:
    return Budget(
        organization_id="o", limit_micro=limit_micro, warn_micro=200, end_micro=50, prices={"session/*/seconds": 10}
    )


def second(quantity: float = 1.0) -> Usage:
    return Usage(
        session_id=SessionId("s"), seq=1, at=AT, stage="session", provider="v", quantity=quantity, unit="seconds"
    )


def test_a_call_is_warned_once_and_then_ends() -> None:
    spending = Spending()
    spending.allow(budget())
    spending.take(second(79))
    assert (spending.tight, spending.verdict()) == (False, "go_on")
    spending.take(second(1))
    assert (spending.tight, spending.verdict(), spending.verdict()) == (True, "warn", "go_on")
    spending.take(second(14.9))
    assert spending.verdict() == "go_on"
    spending.take(second(0.1))
    assert spending.verdict() == "end"


def test_credits_that_come_in_let_it_go_on() -> None:
    spending = Spending()
    spending.allow(budget())
    spending.take(second(100))
    assert spending.verdict() == "end"
    spending.allow(budget(2_000))
    assert (spending.tight, spending.verdict()) == (False, "go_on")


def test_nothing_follows_before_a_budget_is_known() -> None:
    spending = Spending()
    spending.take(second(1_000))
    spending.take(Notice(session_id=SessionId("s"), seq=2, at=AT, code="c", message="m"))
    assert (spending.tight, spending.verdict(), spending.used_micro) == (False, "go_on", 0)
    spending.allow(budget())
    assert (spending.used_micro, spending.verdict()) == (10_000, "end")


@given(st.lists(st.floats(0, 100), max_size=20), st.integers(0, 20))
def test_it_does_not_matter_when_the_budget_comes(quantities: list[float], at: int) -> None:
    early, late = Spending(), Spending()
    early.allow(budget())
    for number, quantity in enumerate(quantities):
        if number == at:
            late.allow(budget())
        early.take(second(quantity))
        late.take(second(quantity))
    late.allow(budget())
    assert early.used_micro == late.used_micro
