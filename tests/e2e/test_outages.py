"""PostgreSQL and Redis away under live calls, as ``make soak`` does it for minutes: no call drops, nothing is lost."""

import io

from rich.console import Console

from benchmarks.outages import KILLED, POSTGRES, measure


async def test_calls_outlive_their_database_and_their_redis() -> None:
    told = io.StringIO()
    outages, judged = await measure(3.5, 3, Console(file=told), names=(POSTGRES, KILLED), warm_s=0.0)
    assert judged.well, judged
    assert judged.turns >= 3
    for outage in outages:
        assert outage.caught_up_s is not None, outage
        assert outage.told, "clients are told what happens meanwhile"
        assert not outage.failures, outage
        assert not outage.fresh
        assert not outage.changes
    without_database, without_both = outages
    assert without_database.stale >= 1, "reads are answered from what was kept"
    assert not without_database.refused
    assert without_both.refused >= 1, "and where Redis is away too, they are told to come again"
