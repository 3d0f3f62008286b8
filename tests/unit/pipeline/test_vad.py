"""Probabilities in, edges out: where speech begins and ends, and that it does not flap."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.vad import VadConfig, VoiceBegan, VoiceEdge, VoiceEdges, VoiceEnded

WINDOW = 512
"""32 ms at 16 kHz: two windows start speech, four stop it."""


def feed(*probabilities: float, config: VadConfig | None = None) -> list[VoiceEdge]:
    edges = VoiceEdges(config or VadConfig())
    found = []
    for number, probability in enumerate(probabilities, 1):
        found.append(edges.feed(probability, number * WINDOW))
        assert edges.position == number * WINDOW
    return [edge for edge in found if edge]


ROWS = {
    "silence": ([0.1] * 20, []),
    "a click": ([0.1, 0.9, 0.1, 0.1], []),
    "clicks between silences": ([0.9, 0.1] * 10, []),
    "two windows are speech, from the first of them": ([0.1, 0.6, 0.6], [VoiceBegan(512)]),
    "just below the start": ([0.1, 0.59, 0.59, 0.59], []),
    "from the very first sample": ([0.9, 0.9], [VoiceBegan(0)]),
    "speech ends where it was last voiced": (
        [0.9, 0.9, 0.9, 0.1, 0.1, 0.1, 0.1],
        [VoiceBegan(0), VoiceEnded(3 * WINDOW)],
    ),
    "a gap of three windows is within speech": ([0.9, 0.9, 0.1, 0.1, 0.1, 0.9, 0.9], [VoiceBegan(0)]),
    "the gap's length starts anew with every voiced window": ([0.9, 0.9, *[0.1, 0.1, 0.1, 0.9] * 5], [VoiceBegan(0)]),
    "doubtful windows neither start speech": ([0.5] * 20, []),
    "nor end it": ([0.9, 0.9, *[0.35] * 20], [VoiceBegan(0)]),
    "just below the stop": ([0.9, 0.9, *[0.34] * 4], [VoiceBegan(0), VoiceEnded(2 * WINDOW)]),
    "and again": (
        [0.9, 0.9, *[0.1] * 4, 0.9, 0.9, *[0.1] * 4],
        [VoiceBegan(0), VoiceEnded(2 * WINDOW), VoiceBegan(6 * WINDOW), VoiceEnded(8 * WINDOW)],
    ),
    "doubtful windows after the end do not start it again": (
        [0.9, 0.9, *[0.1] * 4, *[0.5] * 9],
        [VoiceBegan(0), VoiceEnded(2 * WINDOW)],
    ),
}


@pytest.mark.parametrize(("probabilities", "edges"), [pytest.param(*row, id=name) for name, row in ROWS.items()])
def test_row(probabilities: list[float], edges: list[VoiceEdge]) -> None:
    assert feed(*probabilities) == edges


def test_rising_while_the_newest_window_was_voiced_and_speech_has_not_begun() -> None:
    edges = VoiceEdges(VadConfig())
    seen = []
    for number, probability in enumerate((0.1, 0.9, 0.1, 0.9, 0.9, 0.1, *[0.1] * 3), 1):
        edges.feed(probability, number * WINDOW)
        seen.append(edges.rising)
    assert seen == [False, True, False, True, False, False, False, False, False]


def test_windows_of_any_length() -> None:
    """Positions count, not windows: 20 ms frames need four voiced ones for 64 ms."""
    edges = VoiceEdges(VadConfig())
    assert [edges.feed(0.9, number * 320) for number in range(1, 5)] == [None, None, None, VoiceBegan(0)]
    assert edges.speaking
    assert [edges.feed(0.0, number * 320) for number in range(5, 12)] == [*[None] * 6, VoiceEnded(4 * 320)]
    assert not edges.speaking


@given(st.lists(st.floats(0, 1), max_size=300))
def test_edges_alternate_rise_and_keep_their_distance(probabilities: list[float]) -> None:
    edges = feed(*probabilities)
    for number, edge in enumerate(edges):
        assert isinstance(edge, VoiceBegan if number % 2 == 0 else VoiceEnded)
    places = [edge.first_sample if isinstance(edge, VoiceBegan) else edge.last_sample for edge in edges]
    assert all(place % WINDOW == 0 for place in places)
    assert places == sorted(places)
    assert all(ended - began >= 2 * WINDOW for began, ended in zip(places[::2], places[1::2], strict=False))


@given(st.lists(st.booleans(), min_size=1, max_size=40))
def test_every_run_of_speech_is_found_to_the_window(runs: list[bool]) -> None:
    """Speech and silence of ten windows each, in any order: the edges lie on the borders of the runs."""
    edges = feed(*(0.95 if run else 0.05 for run in runs for _ in range(10)))
    flags = [False, *runs, False]
    begins = [at * 10 * WINDOW for at in range(len(runs)) if flags[at + 1] and not flags[at]]
    ends = [at * 10 * WINDOW for at in range(1, len(runs)) if flags[at] and not flags[at + 1]]
    assert [edge.first_sample for edge in edges if isinstance(edge, VoiceBegan)] == begins
    assert [edge.last_sample for edge in edges if isinstance(edge, VoiceEnded)] == ends
