"""The summary and the tables of :mod:`benchmarks.bargein`. PURE."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from benchmarks.bargein_results import BargeIn, Cough
from benchmarks.statistics import Spread, spread


@dataclass(frozen=True, slots=True)
class Summary:
    barge_ins: int
    taken: int
    """Barge-ins that took the floor."""
    stop_ms: Spread | None
    compared: int
    """Accounts that could be compared with the received audio."""
    exact: int
    worst_words_off: int
    coughs: int
    coughs_right: int
    coughs_paused: int


def summarise(barge_ins: Sequence[BargeIn], coughs: Sequence[Cough]) -> Summary:
    """A run in a few numbers."""
    taken = [each for each in barge_ins if each.interrupted]
    off = [abs(each.words_off) for each in taken if each.words_off is not None]
    return Summary(
        barge_ins=len(barge_ins),
        taken=len(taken),
        stop_ms=spread([each.stop_ms for each in taken if each.stop_ms is not None]),
        compared=len(off),
        exact=off.count(0),
        worst_words_off=max(off, default=0),
        coughs=len(coughs),
        coughs_right=sum(each.right for each in coughs),
        coughs_paused=sum(each.paused_ms > 0 for each in coughs),
    )


def tables(barge_ins: Sequence[BargeIn], coughs: Sequence[Cough], summary: Summary) -> list[Table | str]:
    """What is printed, in order."""
    return [_barge_ins(barge_ins), _coughs(coughs), *_lines(summary)]


def _barge_ins(barge_ins: Sequence[BargeIn]) -> Table:
    table = Table(title="Barge-ins", title_justify="left")
    for name in ("clip", "after s", "stop ms", "words told", "words received"):
        table.add_column(name, justify="left" if name == "clip" else "right")
    for each in barge_ins:
        stop = "–" if each.stop_ms is None else f"{each.stop_ms:.0f}"
        told = "not taken" if not each.interrupted else str(each.words_told)
        received = "–" if each.words_received is None else str(each.words_received)
        table.add_row(Text(each.clip), f"{each.after_s:.2f}", stop, told, received)
    return table


def _coughs(coughs: Sequence[Cough]) -> Table:
    table = Table(title="Short noises over a reply", title_justify="left")
    for name in ("noise", "after s", "paused ms", "went on", "turns"):
        table.add_column(name, justify="left" if name == "noise" else "right")
    for each in coughs:
        went_on = "yes" if each.finished else "no"
        table.add_row(Text(each.kind), f"{each.after_s:.2f}", str(each.paused_ms), went_on, str(each.turns))
    return table


def _lines(summary: Summary) -> list[str]:
    lines = [f"{summary.taken} of {summary.barge_ins} barge-ins took the floor"]
    if summary.stop_ms is not None:
        stop = summary.stop_ms
        lines.append(
            f"stop: median {stop.median:.0f} ms, p90 {stop.p90:.0f}, p95 {stop.p95:.0f}, worst {stop.worst:.0f}"
        )
    if summary.compared:
        lines.append(f"heard: {summary.exact} of {summary.compared} exact, at most {summary.worst_words_off} words off")
    if summary.coughs:
        lines.append(f"{summary.coughs_right} of {summary.coughs} noises did no harm; {summary.coughs_paused} paused")
    return lines
