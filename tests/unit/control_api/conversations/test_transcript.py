"""Transcripts as text and as WebVTT."""

import re
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from control_api.conversations.transcript import Line, to_text, to_webvtt

BEGAN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CUE = re.compile(r"(\d\d+):(\d\d):(\d\d)\.(\d\d\d) --> (\d\d+):(\d\d):(\d\d)\.(\d\d\d)")


def after(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def test_as_text() -> None:
    lines = [
        Line(1, "user", "Hello?\nAnybody?", after(2)),
        Line(1, "agent", "Yes", after(3), name="Amy", interrupted=True),
        Line(2, "agent", "Well.", None),
    ]
    assert to_text(lines) == "Caller: Hello? Anybody?\nAmy: Yes —\nAgent: Well.\n"


def test_as_webvtt() -> None:
    lines = [
        Line(1, "user", "Hello there", after(2)),
        Line(1, "agent", "It's <5 & fine", after(2.5), after(4.25), "A>B"),
        Line(2, "agent", "Over an hour", after(3661), None, "Amy"),
    ]
    assert to_webvtt(lines, BEGAN) == (
        "WEBVTT\n\n"
        "00:00:01.200 --> 00:00:02.000\n<v Caller>Hello there\n\n"
        "00:00:02.500 --> 00:00:04.250\n<v A&gt;B>It's &lt;5 &amp; fine\n\n"
        "01:01:01.000 --> 01:01:02.200\n<v Amy>Over an hour\n"
    )


def test_nothing_is_a_file_too() -> None:
    assert to_webvtt([], BEGAN) == "WEBVTT\n"
    assert to_text([]) == ""


moments = st.none() | st.floats(-10, 10_000).map(after)
some_lines = st.builds(
    Line, st.integers(1, 9), st.sampled_from(["user", "agent"]), st.text(), moments, moments, st.text(), st.booleans()
)


@given(st.lists(some_lines, max_size=8))
def test_cues_never_overlap_and_text_never_breaks_out(lines: list[Line]) -> None:
    made = to_webvtt(lines, BEGAN)
    free = 0.0
    cues = [line for line in made.splitlines() if CUE.fullmatch(line)]
    assert len(cues) == len(lines)
    for cue in cues:
        numbers = [int(each) for each in CUE.fullmatch(cue).groups()]  # type: ignore[union-attr]
        begin, end = (h * 3600 + m * 60 + s + ms / 1000 for h, m, s, ms in (numbers[:4], numbers[4:]))
        assert free <= begin < end
        free = end
    assert made.count("-->") == len(lines)
