"""The watchdog against real stalls of a real loop."""

import asyncio
import io
import logging
import time
from dataclasses import dataclass

import pytest
import structlog.testing

from voicegate.kernel.observability.logs import LogConfig, configure_logs
from voicegate.kernel.telemetry import NoTelemetry
from voicegate.watchdog import watch_loop


@dataclass
class Calls:
    ids: tuple[str, ...] = ("a", "b")


def a_defect(seconds: float) -> None:
    time.sleep(seconds)


async def test_a_stall_is_reported_with_its_stack_and_the_calls_it_hurt() -> None:
    with structlog.testing.capture_logs() as logs, watch_loop(Calls(), NoTelemetry()):
        await asyncio.sleep(0.05)
        a_defect(0.3)
        await asyncio.sleep(0.1)
    (report,) = [log for log in logs if log["event"] == "the event loop stalled"]
    assert any(line.endswith(" a_defect") for line in report["stalled_in"]), report["stalled_in"]
    assert 250 <= report["stalled_ms"] < 3000
    assert report["worked_ms"] < 150, "it slept"
    assert (report["calls"], report["session_ids"]) == (2, ("a", "b"))


async def test_a_stall_that_works_is_told_from_one_that_waits() -> None:
    with structlog.testing.capture_logs() as logs, watch_loop(Calls(), NoTelemetry()):
        await asyncio.sleep(0.05)
        until = time.thread_time() + 0.3
        while time.thread_time() < until:
            pass
        await asyncio.sleep(0.1)
    reports = [log for log in logs if log["event"] == "the event loop stalled"]
    assert sum(report["worked_ms"] for report in reports) >= 250
    assert all(report["worked_ms"] <= report["stalled_ms"] + 50 for report in reports)


async def test_a_loop_that_does_not_come_back_is_reported_all_the_same() -> None:
    with structlog.testing.capture_logs() as logs, watch_loop(Calls(), NoTelemetry()):
        await asyncio.sleep(0.05)
        a_defect(0.8)
        during = [log["event"] for log in logs]
    assert during == ["the event loop stalls"]


@pytest.mark.parametrize("as_json", [True, False])
async def test_a_report_can_be_written(as_json: bool) -> None:
    """As one line of JSON, and as columns for a terminal."""
    written, root = io.StringIO(), logging.getLogger()
    handlers, level, before = root.handlers[:], root.level, structlog.get_config()
    configure_logs(LogConfig(json=as_json), written)
    try:
        with watch_loop(Calls(), NoTelemetry()):
            await asyncio.sleep(0.05)
            a_defect(0.3)
            await asyncio.sleep(0.1)
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.configure(**before)
    assert "the event loop stalled" in written.getvalue()
    assert "a_defect" in written.getvalue()


async def test_a_loop_that_beats_is_left_alone_and_the_thread_ends() -> None:
    async def beat(times: int) -> None:
        for _ in range(times):
            await asyncio.sleep(0.01)

    with structlog.testing.capture_logs() as logs:
        started = time.monotonic()
        with watch_loop(Calls(), NoTelemetry()):
            await beat(10)
        lasted_s = time.monotonic() - started
    assert logs == [] or lasted_s > 0.2, "only a machine that stalled itself is an excuse"
