"""PostgreSQL and Redis away under live calls, as ``make soak`` does it for minutes: no call drops, nothing is lost."""

import io

from rich.console import Console

from benchmarks.outages import KILLED, measure


async def test_calls_outlive_their_database_and_their_redis() -> None:
    """Both stand still, and are killed where they stand; voicegate starts them again."""
    (outage,), judged = await measure(3.0, 3, Console(file=io.StringIO()), names=(KILLED,), warm_s=0.0)
    assert judged.well, judged
    assert judged.turns >= 3
    assert outage.caught_up_s is not None, "everything is stored soon after"
    assert outage.told, "clients are told what happens meanwhile"
    assert not outage.failures, outage
    assert outage.refused, "whoever reads is told to come again"
    assert not outage.fresh
    assert not outage.changes
