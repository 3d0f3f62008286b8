"""A run of barge-ins in a few numbers."""

from benchmarks.bargein_report import Summary, summarise
from benchmarks.bargein_results import BargeIn, Cough
from benchmarks.statistics import Spread


def test_summary() -> None:
    barge_ins = [
        BargeIn("a", 1.0, 100.0, interrupted=True, words_told=5, words_received=5),
        BargeIn("b", 1.0, 200.0, interrupted=True, words_told=3, words_received=5),
        BargeIn("c", 1.0, None, interrupted=True, words_told=3, words_received=None),
        BargeIn("d", 1.0, 3000.0, interrupted=False),
    ]
    coughs = [Cough("n", 1.0, 0, True, 0), Cough("v", 1.0, 400, True, 0), Cough("v", 1.0, 400, True, 1)]
    stop = Spread(2, 150.0, 150.0, 190.0, 195.0, 199.0, 200.0)
    assert summarise(barge_ins, coughs) == Summary(4, 3, stop, 2, 1, 2, 3, 2, 2)


def test_nothing_measured() -> None:
    assert summarise([], []) == Summary(0, 0, None, 0, 0, 0, 0, 0, 0)
