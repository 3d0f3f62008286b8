"""Follows the load of this process: sheds what callers miss least, tells them, and takes it back afterwards."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog

from gateway.load import NOTICES, LoadGauge, LoadLevel
from pipeline.allowance import Allowance
from voicegate.kernel.telemetry import Telemetry

_EVERY_S = 1.0

_log = structlog.get_logger(__name__)


class Told(Protocol):
    """Who is told: all running calls."""

    def tell_all(self, code: str, message: str) -> None: ...


async def follow_load(
    gauge: LoadGauge,
    allowance: Allowance,
    calls: Told,
    telemetry: Telemetry,
    *,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> None:
    """Until cancelled: judge once a second."""
    shown = telemetry.gauge("voicegate_load_level", "0 normal, 1 no interims, 2 no speculation, 3 no new calls")
    before = LoadLevel.NORMAL
    shown.set(before)
    while True:
        await sleep(_EVERY_S)
        level = gauge.judge()
        if level is before:
            continue
        allowance.interims = level < LoadLevel.NO_INTERIMS
        allowance.speculation = level < LoadLevel.NO_SPECULATION
        shown.set(level)
        calls.tell_all("load", NOTICES[level])
        _log.warning("load level changed", level=level.name.lower(), before=before.name.lower())
        before = level
