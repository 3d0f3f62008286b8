"""What is read of the sums. Every method works in the caller's transaction."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from control_api.analytics.figures import (
    COUNTED,
    Sums,
    counts,
    histogram,
    parts,
    percentiles,
    ratio,
    split,
    stages,
    total,
)
from control_api.analytics.histogram import percentile_ms
from control_api.analytics.period import Period
from control_api.analytics.rollup import NOBODY
from control_api.analytics.schemas import (
    AgentShare,
    CostRow,
    Costs,
    Errors,
    Interruptions,
    LatencyReport,
    Performance,
    Point,
    Summary,
    TimeSeries,
    Version,
)
from control_api.analytics.tally import (
    CALLS,
    ENDED,
    ERRORS,
    INTERRUPTIONS,
    NOTICES,
    SECONDS,
    STAGES,
    TURNS,
    measure_of,
)
from control_api.db.models.agents import Agent
from control_api.db.models.analytics import AnalyticsSum
from control_api.db.models.ledger import UsageDay
from control_api.db.models.model import SumPeriod
from control_api.db.repository import Repository
from control_api.identity.caller import Caller
from control_api.problems import missing

Bucket = Literal["hour", "day"]
_HOURLY_DAYS, _DAILY_DAYS = 7, 92
_TOTAL = measure_of("total")
_HOUR = timedelta(hours=1)


class AnalyticsService:
    """``agent_id``: of this agent alone."""

    def __init__(self, session: AsyncSession, caller: Caller, period: Period, agent_id: UUID | None) -> None:
        self._session, self._organization_id = session, caller.organization_id
        self._period, self._agent_id = period, agent_id

    async def known(self) -> None:
        """Raises Problem: ``not_found``, there is no such agent."""
        if self._agent_id is None:
            return
        if await Repository(self._session, self._organization_id, Agent).get(self._agent_id) is None:
            raise missing("agent")

    async def summary(self) -> Summary:
        sums = await self._sums(*COUNTED)
        waits = percentiles(histogram(sums, _TOTAL))
        return Summary(**self._days(), **counts(sums).model_dump(), voice_to_voice=waits)

    async def time_series(self, bucket: Bucket) -> TimeSeries:
        """Raises Problem: ``invalid``, so many points are not given at once."""
        self._period.at_most(_HOURLY_DAYS if bucket == "hour" else _DAILY_DAYS, f"by the {bucket}")
        by_moment = await self._split(AnalyticsSum.at, bucket, *COUNTED)
        step = _HOUR if bucket == "hour" else 24 * _HOUR
        moments = range((self._period.end - self._period.begin) // step)
        points = [
            _point(moment, by_moment.get(moment, {})) for moment in (self._period.begin + n * step for n in moments)
        ]
        return TimeSeries(**self._days(), bucket=bucket, points=points)

    async def latency(self) -> LatencyReport:
        sums = await self._sums(*(measure_of(stage) for stage in STAGES))
        return LatencyReport(**self._days(), stages=stages(sums))

    async def interruptions(self) -> Interruptions:
        by_agent = await self._split(AnalyticsSum.agent_id, "day", TURNS, INTERRUPTIONS)
        sums = _together(by_agent.values())
        count, turns = total(sums, INTERRUPTIONS), total(sums, TURNS)
        return Interruptions(
            **self._days(),
            count=count,
            turns=turns,
            rate=ratio(count, turns),
            by_reason=parts(sums, INTERRUPTIONS),
            by_agent=_shares(by_agent, INTERRUPTIONS),
        )

    async def errors(self) -> Errors:
        by_agent = await self._split(AnalyticsSum.agent_id, "day", TURNS, ERRORS, ENDED, NOTICES)
        sums = _together(by_agent.values())
        count, turns = total(sums, ERRORS), total(sums, TURNS)
        return Errors(
            **self._days(),
            count=count,
            turns=turns,
            rate=ratio(count, turns),
            by_code=parts(sums, ERRORS),
            by_agent=_shares(by_agent, ERRORS),
            endings=parts(sums, ENDED),
            notices=parts(sums, NOTICES),
        )

    async def costs(self) -> Costs:
        rows = await self._usage()
        by_stage = [row for row in rows if row.stage is not None and row.provider is None]
        sums = await self._sums(CALLS, SECONDS)
        cost, calls = sum(row.cost_micro for row in by_stage), total(sums, CALLS)
        milliseconds = total(sums, SECONDS)
        return Costs(
            **self._days(),
            cost_micro=cost,
            calls=calls,
            cost_per_call_micro=cost // calls if calls else None,
            cost_per_minute_micro=cost * 60_000 // milliseconds if milliseconds else None,
            by_agent=[row for row in rows if row.agent_id is not None],
            by_stage=by_stage,
            by_provider=[row for row in rows if row.provider is not None],
            by_day=[row for row in rows if row.day is not None],
        )

    async def performance(self) -> Performance:
        by_version = await self._split(AnalyticsSum.agent_version, "day", *COUNTED)
        sums = _together(by_version.values())
        versions = [
            Version(
                version=version,
                **counts(each).model_dump(),
                voice_to_voice=percentiles(histogram(each, _TOTAL)),
            )
            for version, each in sorted(by_version.items(), reverse=True)
        ]
        waits = percentiles(histogram(sums, _TOTAL))
        return Performance(**self._days(), **counts(sums).model_dump(), voice_to_voice=waits, versions=versions)

    def _days(self) -> dict[str, Any]:
        return {"since": self._period.since, "until": self._period.until, "agent_id": self._agent_id}

    async def _sums(self, *measures: str) -> Sums:
        wanted = (
            select(AnalyticsSum.measure, AnalyticsSum.key, func.sum(AnalyticsSum.amount))
            .where(*self._of("day", measures))
            .group_by(AnalyticsSum.measure, AnalyticsSum.key)
        )
        return {(measure, key): int(amount) for measure, key, amount in await self._session.execute(wanted)}

    async def _split(
        self, by: InstrumentedAttribute[Any], period: SumPeriod, *measures: str
    ) -> dict[Any, dict[tuple[str, str], int]]:
        wanted = (
            select(by, AnalyticsSum.measure, AnalyticsSum.key, func.sum(AnalyticsSum.amount))
            .where(*self._of(period, measures))
            .group_by(by, AnalyticsSum.measure, AnalyticsSum.key)
        )
        return split((row[0], row[1], row[2], row[3]) for row in await self._session.execute(wanted))

    def _of(self, period: SumPeriod, measures: Sequence[str]) -> list[ColumnElement[bool]]:
        conditions = [
            AnalyticsSum.organization_id == self._organization_id,
            AnalyticsSum.period == period,
            AnalyticsSum.measure.in_(measures),
            AnalyticsSum.at >= self._period.begin,
            AnalyticsSum.at < self._period.end,
        ]
        if self._agent_id is not None:
            conditions.append(AnalyticsSum.agent_id == self._agent_id)
        return conditions

    async def _usage(self) -> list[CostRow]:
        """Grouped in four ways at once; the columns by which a row is not grouped are null."""
        agent, day, stage, provider = UsageDay.agent_id, UsageDay.day, UsageDay.stage, UsageDay.provider
        ways = func.grouping_sets(tuple_(agent), tuple_(day), tuple_(stage), tuple_(stage, provider))
        wanted = (
            select(agent, day, stage, provider, func.sum(UsageDay.cost_micro).label("cost_micro"))
            .where(
                UsageDay.organization_id == self._organization_id,
                UsageDay.day >= self._period.since,
                UsageDay.day <= self._period.until,
            )
            .group_by(ways)
            .order_by(agent, day, stage, provider)
        )
        if self._agent_id is not None:
            wanted = wanted.where(agent == self._agent_id)
        return [CostRow(**row) for row in (await self._session.execute(wanted)).mappings()]


def _point(moment: datetime, sums: Sums) -> Point:
    waits = histogram(sums, _TOTAL)
    return Point(
        at=moment,
        **counts(sums).model_dump(),
        voice_to_voice_p50_ms=percentile_ms(waits, 0.5),
        voice_to_voice_p95_ms=percentile_ms(waits, 0.95),
    )


def _together(each: Any) -> Sums:
    sums: dict[tuple[str, str], int] = {}
    for some in each:
        for name, amount in some.items():
            sums[name] = sums.get(name, 0) + amount
    return sums


def _shares(by_agent: dict[UUID, dict[tuple[str, str], int]], measure: str) -> list[AgentShare]:
    found = [(agent_id, total(sums, measure), total(sums, TURNS)) for agent_id, sums in by_agent.items()]
    return [
        AgentShare(
            agent_id=None if agent_id == NOBODY else agent_id, turns=turns, count=count, rate=ratio(count, turns)
        )
        for agent_id, count, turns in sorted(found, key=lambda each: (-each[1], each[0]))
    ]
