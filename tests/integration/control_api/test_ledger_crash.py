"""The ledger under kill -9, in short: real services, real processes. ``make soak`` does it five hundred times."""

from pathlib import Path

import psycopg
import pytest

from benchmarks.ledger_crash import prove
from benchmarks.ledger_error import error_micro
from benchmarks.ledger_worker import POINTS
from tests.integration.control_api.conftest import a_database
from voicegate.embedded.redis import RedisConfig, embedded_redis


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_kills_leave_no_error(postgres_url: str, template: str, tmp_path: Path) -> None:
    assert len(POINTS) >= 12
    async with a_database(postgres_url, template) as url, embedded_redis(RedisConfig(directory=tmp_path)) as redis_url:
        found = await prove(url, redis_url, kills=6, calls=3)
        assert (found.error_micro, found.below_holds, found.open_holds) == (0, 0, 0), found
        assert found.kills == 6
        assert found.usage_events > 0
        async with await psycopg.AsyncConnection.connect(url) as connection:
            rows = await connection.execute("SELECT organization_id FROM ledger_accounts WHERE kind = 'spent' LIMIT 1")
            row = await rows.fetchone()
            assert row is not None
            await connection.execute(
                "UPDATE usage_days SET cost_micro = cost_micro + 1 WHERE organization_id = %s", row
            )
            assert await error_micro(connection, row[0]) > 0, "the measure can fail"
