"""The control API's row in the table of figures."""

from pathlib import Path

from benchmarks.control_api import Gaps, Outcome
from benchmarks.machine import Machine
from benchmarks.results import write_results
from benchmarks.statistics import Spread
from scripts.figures import read_results, table


def test_the_slowest_operations_stand_for_all(tmp_path: Path) -> None:
    machine = Machine("Some CPU", 2, 7.8, 0.5, "3.11.2", "abcdef012345", "python -m benchmarks.control_api")
    took = [Spread(100, 5.0, 4.0, 9.0, p95, 20.0, 40.0) for p95 in (12.4, 31.0, 77.0)]
    requests = dict(zip(["GET agents.list", "GET conversations.list", "POST agents.publish"], took, strict=True))
    outcome = Outcome(requests, {}, [], Gaps(50, 24.6, 22.0, 0, []), 3.21, None, 50.0, [])
    settings = {"conversations": 100_000, "calls": 50, "rate": 100.0}
    write_results(tmp_path / "x.json", machine, settings=settings, outcome=outcome)
    shown = table(read_results(tmp_path))
    assert "at 100 requests a second, 100,000 conversations kept, 50 calls beside it" in shown
    assert "GET p95 at most 31 ms (conversations.list), POST p95 at most 77 ms (agents.publish); 3.2 ms of" in shown
    assert "longest gap in the calls 25 ms" in shown
