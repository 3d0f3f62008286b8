"""Shared fixtures: real services, started in the test's own directory."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from voicegate.embedded.redis import RedisConfig, embedded_redis


@pytest.fixture
def redis_config(tmp_path: Path) -> RedisConfig:
    return RedisConfig(directory=tmp_path / "redis")


@pytest.fixture
async def redis_url(redis_config: RedisConfig) -> AsyncIterator[str]:
    """A real redis-server of the test's own, gone with the test."""
    async with embedded_redis(redis_config) as url:
        yield url
