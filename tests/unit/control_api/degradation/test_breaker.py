"""A service that is away is asked once a second, and by one."""

from datetime import UTC, datetime

from control_api.degradation.breaker import Breaker


class Hands:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now

    def utc(self) -> datetime:
        return datetime.now(UTC)


def test_while_it_answers_everybody_is_let_through() -> None:
    breaker = Breaker(Hands())
    assert breaker.lets_through()
    breaker.succeeded()
    assert not breaker.is_open
    assert not breaker.refuses
    assert breaker.lets_through()


def refuses(breaker: Breaker) -> bool:
    """Asked anew: it changes by what others do."""
    return breaker.refuses


def test_while_it_is_away_one_a_second_tries() -> None:
    clock = Hands()
    breaker = Breaker(clock)
    breaker.failed()
    assert breaker.is_open
    assert refuses(breaker)
    assert not breaker.lets_through()
    clock.now += 1.0
    assert breaker.lets_through()
    assert not refuses(breaker), "whoever tries may connect"
    clock.now += 5.0
    assert [breaker.lets_through() for _ in range(3)] == [False] * 3, "and the others wait for what comes of it"
    clock.now += 5.0
    assert breaker.lets_through(), "but not for ever"
    breaker.failed()
    clock.now += 0.9
    assert not breaker.lets_through(), "a second after the attempt, not after its beginning"
    clock.now += 0.1
    assert breaker.lets_through()
    breaker.succeeded()
    assert all(breaker.lets_through() for _ in range(3))


def test_whoever_looks_after_it_need_not_wait_for_a_turn() -> None:
    breaker = Breaker(Hands())
    breaker.failed()
    assert breaker.lets_through(now=True)
    assert not breaker.lets_through(), "his attempt is everybody's"
    breaker.succeeded()
    assert breaker.lets_through()
