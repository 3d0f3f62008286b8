"""Health checks: their meaning, and that a crowd asks once."""

import asyncio
from datetime import UTC, datetime

import pytest

from gateway.health import CACHE_S, Check, Health, HealthCheck


class MovableClock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now

    def utc(self) -> datetime:
        return datetime(2030, 1, 1, tzinfo=UTC)


class Counting:
    def __init__(self, answer: Check) -> None:
        self.answer = answer
        self.asked = 0

    async def __call__(self) -> Check:
        self.asked += 1
        await asyncio.sleep(0)
        return self.answer


GOOD, BAD = Check(ok=True), Check(ok=False, detail="down")
STATUS = [
    ([], "ok"),
    ([(GOOD, True), (GOOD, False)], "ok"),
    ([(GOOD, True), (BAD, False)], "degraded"),
    ([(BAD, True), (GOOD, False)], "failed"),
    ([(BAD, False), (BAD, True)], "failed"),
]


@pytest.mark.parametrize(("answers", "status"), STATUS)
async def test_status(answers: list[tuple[Check, bool]], status: str) -> None:
    checks = {str(n): HealthCheck(Counting(answer), required) for n, (answer, required) in enumerate(answers)}
    report = await Health(checks, MovableClock()).report(calls=3, draining=False)
    assert report.status == status
    assert (report.missing() is not None) is (status == "failed")


async def test_the_missing_part_names_the_refusal() -> None:
    checks = {"redis": HealthCheck(Counting(BAD), code="state_unavailable"), "stt": HealthCheck(Counting(BAD))}
    missing = (await Health(checks, MovableClock()).report(calls=0, draining=False)).missing()
    assert missing is not None
    assert (missing[0], missing[1].code, missing[1].detail) == ("redis", "state_unavailable", "down")
    assert HealthCheck(Counting(BAD)).code == "not_ready"


async def test_a_crowd_asks_once_a_second() -> None:
    counting, clock = Counting(GOOD), MovableClock()
    health = Health({"a": HealthCheck(counting)}, clock)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(20):
            tasks.create_task(health.report(calls=0, draining=False))
    assert counting.asked == 1
    clock.now += CACHE_S
    counting.answer = BAD
    assert (await health.report(calls=0, draining=False)).status == "failed"
    assert counting.asked == 2
