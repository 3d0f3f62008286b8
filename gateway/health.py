"""Whether this process can take calls: named checks, asked at most once a second."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from voicegate.kernel.clock import Clock

CHECK_TIMEOUT_S = 1.0
CACHE_S = 1.0


@dataclass(frozen=True, slots=True)
class Check:
    """Answer of one check."""

    ok: bool
    detail: str = ""
    """In words, for the operator; no secrets."""


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """A dependency to ask. ``required``: without it no new call is taken; ``code`` is then the refusal's."""

    ask: Callable[[], Awaitable[Check]]
    required: bool = True
    code: str = "not_ready"
    """A code of :data:`gateway.problems.REFUSALS`, for example ``state_unavailable``."""


HealthChecks: TypeAlias = Mapping[str, HealthCheck]


class CheckReport(msgspec.Struct, frozen=True, omit_defaults=True):
    ok: bool
    required: bool
    code: str
    detail: str = ""


class HealthReport(msgspec.Struct, frozen=True, rename="camel"):
    """Body of ``GET /health``. ``status``: ok, degraded (an optional part is away) or failed."""

    status: str
    calls: int
    draining: bool
    checks: dict[str, CheckReport]

    def missing(self) -> tuple[str, CheckReport] | None:
        """The first required check that failed."""
        return next(((name, each) for name, each in self.checks.items() if each.required and not each.ok), None)


class Health:
    """Asks all checks together; answers are kept for :data:`CACHE_S`, so that a crowd of callers asks once."""

    def __init__(self, checks: HealthChecks, clock: Clock) -> None:
        self._checks = checks
        self._clock = clock
        self._lock = asyncio.Lock()
        self._asked_at = float("-inf")
        self._answers: dict[str, CheckReport] = {}

    async def report(self, *, calls: int, draining: bool) -> HealthReport:
        answers = await self._ask()
        if any(each.required and not each.ok for each in answers.values()):
            status = "failed"
        else:
            status = "ok" if all(each.ok for each in answers.values()) else "degraded"
        return HealthReport(status, calls, draining, answers)

    async def _ask(self) -> dict[str, CheckReport]:
        async with self._lock:
            if self._clock.monotonic() - self._asked_at >= CACHE_S:
                answers = await asyncio.gather(*(_ask_one(check) for check in self._checks.values()))
                self._answers = dict(zip(self._checks, answers, strict=True))
                self._asked_at = self._clock.monotonic()
        return self._answers


async def _ask_one(check: HealthCheck) -> CheckReport:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            answer = await check.ask()
    except TimeoutError:
        answer = Check(ok=False, detail=f"no answer within {CHECK_TIMEOUT_S:g} s")
    except Exception as error:  # whatever a dependency raises means that it is not well
        answer = Check(ok=False, detail=type(error).__name__)
    return CheckReport(answer.ok, check.required, check.code, answer.detail)
