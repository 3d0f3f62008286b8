"""What is away at the moment, since when, and what that means: for health, logs, metrics, and whoever listens."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

import structlog

from voicegate.kernel.clock import Clock
from voicegate.kernel.telemetry import Telemetry

Service = Literal["database", "state", "issuer"]

MEANING: Final[dict[Service, str]] = {
    "database": "reads are answered from what was kept, with their age; changes are refused; calls go on",
    "state": "reads and changes go on; limits are counted by each process; new calls are refused; calls go on",
    "issuer": "its keys that are known stay in use; tokens of other keys read if they were seen as good before",
}
BACK: Final = "all works again"
_KEPT_CHANGES = 100
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Condition:
    """A service that is away."""

    service: Service
    name: str
    """Which one, where there are several: an issuer."""
    since: datetime

    @property
    def code(self) -> str:
        return f"{self.service}_away"

    @property
    def detail(self) -> str:
        return f"the {self.service}{f' {self.name}' if self.name else ''} is away: {MEANING[self.service]}"


@dataclass(frozen=True, slots=True)
class Change:
    """A condition began or ended."""

    number: int
    """Rises by one."""
    code: str
    """``database_away``, ``database_back``, and so on."""
    message: str
    at: datetime


class Conditions:
    def __init__(self, clock: Clock, telemetry: Telemetry) -> None:
        self._clock = clock
        self._away: dict[tuple[Service, str], Condition] = {}
        self._changes: deque[Change] = deque(maxlen=_KEPT_CHANGES)
        self._number = 0
        self._gauges = {
            service: telemetry.gauge("voicegate_api_degraded", "1 while a service is away.", service=service)
            for service in MEANING
        }
        for gauge in self._gauges.values():
            gauge.set(0)

    @property
    def current(self) -> Sequence[Condition]:
        """What is away now, the longest first."""
        return list(self._away.values())

    @property
    def newest(self) -> int:
        """Number of the last change."""
        return self._number

    def after(self, number: int) -> list[Change]:
        """The changes after this one."""
        return [change for change in self._changes if change.number > number]

    def see(self, service: Service, *, away: bool, name: str = "") -> None:
        """Somebody has looked. Only a change has consequences."""
        key = (service, name)
        if away == (key in self._away):
            return
        now = self._clock.utc()
        if away:
            condition = self._away[key] = Condition(service, name, now)
            self._note(condition.code, condition.detail, now)
            _log.warning("service away", service=service, name=name)
        else:
            since = self._away.pop(key).since
            self._note(f"{service}_back", f"the {service}{f' {name}' if name else ''} is back: {BACK}", now)
            _log.warning("service back", service=service, name=name, away_s=round((now - since).total_seconds(), 1))
        self._gauges[service].set(any(each.service == service for each in self._away.values()))

    def _note(self, code: str, message: str, now: datetime) -> None:
        self._number += 1
        self._changes.append(Change(self._number, code, message, now))
