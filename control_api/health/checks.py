"""What the API depends on, asked at most once in a while."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import structlog

from voicegate.kernel.clock import Clock

_TIMEOUT_S = 4.0
"""Longer than the database and Redis may keep silent: stopping a query of a server that stands still takes longer."""
_log = structlog.get_logger(__name__)

Ask = Callable[[], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """A dependency. ``required``: without any of those that are no request can be served."""

    ask: Ask
    required: bool = True
    keep_s: float = 1.0
    """How long an answer is kept: a crowd of probes asks once, and a vendor is not asked every second."""


class Health:
    def __init__(self, checks: Mapping[str, HealthCheck], clock: Clock) -> None:
        self._checks, self._clock = checks, clock
        self._lock = asyncio.Lock()
        self._answers: dict[str, tuple[float, bool]] = {}

    async def answers(self) -> dict[str, bool]:
        """Each check's answer."""
        async with self._lock:
            now = self._clock.monotonic()
            due = [name for name, check in self._checks.items() if self._is_due(name, check, now)]
            found = await asyncio.gather(*(_ask(name, self._checks[name]) for name in due))
            for name, good in zip(due, found, strict=True):
                self._answers[name] = (self._clock.monotonic(), good)
            return {name: self._answers[name][1] for name in self._checks}

    async def ready(self) -> bool:
        """Whether anything of what is required answers: without the database reads are answered from Redis, and without
        Redis all but new calls from the database, so that a balancer must not take all processes away."""
        answers = await self.answers()
        return any(good for name, good in answers.items() if self._checks[name].required)

    def _is_due(self, name: str, check: HealthCheck, now: float) -> bool:
        return name not in self._answers or now - self._answers[name][0] >= check.keep_s


async def _ask(name: str, check: HealthCheck) -> bool:
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            return await check.ask()
    except Exception as error:  # whatever a dependency raises means that it is not well
        _log.warning("health check failed", name=name, error=type(error).__name__)
        return False
