"""JSON of analytics."""

from datetime import date
from uuid import UUID

from pydantic import Field

from control_api.analytics.tally import Stage
from control_api.wire import Moment, Shown

_PER_TURN = "For each turn."


class Days(Shown):
    """What it is of."""

    since: date
    until: date = Field(description="Included. Days are in UTC.")
    agent_id: UUID | None = Field(default=None, description="Null: of all agents.")


class Percentiles(Shown):
    """Milliseconds, right to within 4.4 %; null: nothing was measured."""

    count: int
    p50_ms: float | None
    p90_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


class Counts(Shown):
    """What calls add up to. A call counts for the hour in which it began; a turn, an interruption and an error for the
    hour in which it happened."""

    calls: int
    ended: int
    failed: int = Field(description="Of those that ended: by an error, or because their process was lost.")
    turns: int
    interruptions: int
    errors: int
    minutes: float = Field(description="Length of the calls that ended.")
    cost_micro: int
    interruption_rate: float | None = Field(description=_PER_TURN)
    error_rate: float | None = Field(description=_PER_TURN)
    cost_per_call_micro: int | None


class Summary(Days, Counts):
    voice_to_voice: Percentiles = Field(description="How long callers waited for an answer.")


class Point(Counts):
    at: Moment = Field(description="Its hour or day begins then.")
    voice_to_voice_p50_ms: float | None
    voice_to_voice_p95_ms: float | None


class TimeSeries(Days):
    bucket: str
    points: list[Point] = Field(description="Without gaps, oldest first.")


class Bucket(Shown):
    """Values from `fromMs` up to, not including, `toMs`."""

    from_ms: float
    to_ms: float
    count: int


class StageLatency(Percentiles):
    stage: Stage = Field(description="`total` is from the caller's last sound to the answer's first; the others add up")
    buckets: list[Bucket] = Field(description="The distribution. Bounds are always the same: counts may be added up.")


class LatencyReport(Days):
    stages: list[StageLatency]


class Part(Shown):
    key: str
    count: int


class AgentShare(Shown):
    agent_id: UUID | None = Field(description="Null: calls to no published agent.")
    turns: int
    count: int
    rate: float | None = Field(description=_PER_TURN)


class Interruptions(Days):
    count: int
    turns: int
    rate: float | None = Field(description=_PER_TURN)
    by_reason: list[Part]
    by_agent: list[AgentShare]


class Errors(Days):
    count: int
    turns: int
    rate: float | None = Field(description=_PER_TURN)
    by_code: list[Part] = Field(description="`stage/code`, or `code` where no stage is to blame.")
    by_agent: list[AgentShare]
    endings: list[Part] = Field(description="Why calls ended.")
    notices: list[Part] = Field(description="Degradations that calls told of.")


class CostRow(Shown):
    """The fields by which it is not grouped are null."""

    agent_id: UUID | None = None
    day: date | None = None
    stage: str | None = None
    provider: str | None = None
    cost_micro: int


class Costs(Days):
    """From the ledger's usage, by the day on which it was used."""

    cost_micro: int
    calls: int
    cost_per_call_micro: int | None
    cost_per_minute_micro: int | None
    by_agent: list[CostRow]
    by_stage: list[CostRow]
    by_provider: list[CostRow]
    by_day: list[CostRow]


class Version(Counts):
    version: int
    voice_to_voice: Percentiles


class Performance(Days, Counts):
    """How an agent does, in all and by version. A call counts to the version with which it began."""

    voice_to_voice: Percentiles
    versions: list[Version] = Field(description="Newest first.")
