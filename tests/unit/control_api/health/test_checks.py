"""Ready is whoever can serve anything; what raises or hangs is not well."""

import pytest

from control_api.health.checks import Health, HealthCheck
from voicegate.kernel.clock import SystemClock


def answering(good: bool) -> HealthCheck:
    async def ask() -> bool:
        return good

    return HealthCheck(ask)


@pytest.mark.parametrize(
    ("database", "redis", "ready"),
    [(True, True, True), (False, True, True), (True, False, True), (False, False, False)],
)
async def test_ready_while_anything_can_be_served(database: bool, redis: bool, ready: bool) -> None:
    async def vendor() -> bool:
        raise OSError

    checks = {"database": answering(database), "redis": answering(redis), "vendor": HealthCheck(vendor, required=False)}
    health = Health(checks, SystemClock())
    assert await health.ready() is ready
    assert await health.answers() == {"database": database, "redis": redis, "vendor": False}
