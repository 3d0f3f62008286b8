"""Which days are asked for."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated

from fastapi import Depends, Query

from control_api.parts import Parts
from control_api.problems import invalid

USUAL_DAYS = 30
MOST_DAYS = 366


@dataclass(frozen=True, slots=True)
class Period:
    """Days in UTC, both included."""

    since: date
    until: date

    @property
    def begin(self) -> datetime:
        return datetime.combine(self.since, time(), UTC)

    @property
    def end(self) -> datetime:
        """The first moment after it."""
        return datetime.combine(self.until, time(), UTC) + timedelta(days=1)

    @property
    def days(self) -> int:
        return (self.until - self.since).days + 1

    def at_most(self, days: int, why: str) -> None:
        """Raises Problem: ``invalid``."""
        if self.days > days:
            raise invalid("/query/since", f"At most {days} days {why}.")


Day = Annotated[date | None, Query(description="A day in UTC, `YYYY-MM-DD`, included.")]


async def _period(parts: Parts, since: Day = None, until: Day = None) -> Period:
    """The last 30 days, if nothing is said."""
    last = until or parts.clock.utc().astimezone(UTC).date()
    if not date.min + timedelta(days=MOST_DAYS) <= last < date.max:
        raise invalid("/query/until", "It is too far away.")
    period = Period(since or last - timedelta(days=USUAL_DAYS - 1), last)
    if period.days < 1:
        raise invalid("/query/since", "It is after `until`.")
    period.at_most(MOST_DAYS, "can be asked for")
    return period


PeriodDep = Annotated[Period, Depends(_period)]
