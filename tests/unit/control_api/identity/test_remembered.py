"""Who was looked up a moment ago is not looked up again; while the database is away, neither who was a while ago."""

from datetime import UTC, datetime

import pytest

from control_api.db.database import DatabaseAway
from control_api.identity.remembered import REMEMBER_S, Remembered


class Hands:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now

    def utc(self) -> datetime:
        return datetime.now(UTC)


class People:
    """A database of one person."""

    def __init__(self) -> None:
        self.role: str | None = "admin"
        self.away = False
        self.asked = 0

    async def __call__(self) -> str | None:
        self.asked += 1
        if self.away:
            raise DatabaseAway("away")
        return self.role


async def test_who_was_looked_up_a_moment_ago_is_not_looked_up_again() -> None:
    clock, people = Hands(), People()
    known: Remembered[str, str] = Remembered(clock, 60.0)
    assert await known.get("me", people) == ("admin", "")
    people.role = None
    clock.now += REMEMBER_S - 0.1
    assert await known.get("me", people) == ("admin", "")
    clock.now += 0.1
    assert await known.get("me", people) == (None, ""), "a withdrawal is seen"
    people.role = "admin"
    known.forget("me")
    assert await known.get("me", people) == ("admin", "")


async def test_while_the_database_is_away_the_grace_period_counts_from_when_it_answered() -> None:
    clock, people = Hands(), People()
    known: Remembered[str, str] = Remembered(clock, 60.0)
    await known.get("me", people)
    people.away = True
    for _ in range(2):
        clock.now += 29.9
        assert await known.get("me", people) == ("admin", "database")
    clock.now += 0.2
    with pytest.raises(DatabaseAway):
        await known.get("me", people)
    people.away = False
    assert await known.get("me", people) == ("admin", "")


async def test_nobody_is_not_remembered_for_longer() -> None:
    clock, people = Hands(), People()
    known: Remembered[str, str] = Remembered(clock, 60.0)
    people.role = None
    assert await known.get("me", people) == (None, "")
    clock.now, people.away = clock.now + REMEMBER_S, True
    with pytest.raises(DatabaseAway):
        await known.get("me", people)
    with pytest.raises(DatabaseAway):
        await known.get("another", people)


async def test_the_oldest_are_forgotten_first() -> None:
    clock, people = Hands(), People()
    known: Remembered[int, str] = Remembered(clock, 60.0)
    for number in range(10_001):
        await known.get(number, people)
    asked = people.asked
    await known.get(10_000, people)
    await known.get(1, people)
    assert people.asked == asked
    await known.get(0, people)
    assert people.asked == asked + 1
