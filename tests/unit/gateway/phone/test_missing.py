"""Silence where audio is missing: on the carrier's clock where it has one, and on ours."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.phone.missing import LONGEST_MS, OVERDUE_S, MissingAudio


def came(line: MissingAudio, at_ms: int | None, now: float) -> int:
    """20 ms of audio; the frames that were missing before it."""
    return line.before(at_ms, 20.0, now)


def test_audio_without_gaps_gets_nothing() -> None:
    line = MissingAudio(0.0)
    for index in range(100):
        assert came(line, index * 20, index * 0.02) == 0
        assert line.overdue(index * 0.02 + 0.019) == 0


def test_a_gap_on_the_carriers_clock_is_filled_before_what_follows_it() -> None:
    line = MissingAudio(0.0)
    came(line, 1_000, 0.0)
    assert came(line, 1_100, 0.02) == 4
    assert came(line, 1_120, 0.04) == 0


def test_a_quiet_line_is_filled_by_the_wall_clock_and_not_again_when_it_comes_back() -> None:
    line = MissingAudio(0.0)
    came(line, 0, 0.0)
    assert line.overdue(OVERDUE_S - 0.001) == 0
    assert line.overdue(OVERDUE_S) == 10
    assert line.overdue(0.3) == 0
    assert line.overdue(0.41) == 10
    assert came(line, 500, 0.5) == 4, "480 ms were missing, 400 are filled"


def test_a_stall_is_no_gap() -> None:
    line = MissingAudio(0.0)
    came(line, 0, 0.0)
    assert line.overdue(0.4) == 20
    assert came(line, 20, 0.4) == 0
    assert came(line, 40, 0.4) == 0


def test_a_line_that_never_speaks_is_silent_from_its_beginning() -> None:
    assert MissingAudio(7.0).overdue(8.0) == 50


def test_a_clock_that_jumps_costs_a_second_at_most() -> None:
    line = MissingAudio(0.0)
    came(line, 0, 0.0)
    assert came(line, 10**12, 0.02) == LONGEST_MS // 20
    assert came(line, 0, 0.04) == 0, "and backwards nothing"
    assert came(line, 20, 0.06) == 0


def test_without_a_clock_of_its_own_a_carrier_is_filled_by_ours_alone() -> None:
    line = MissingAudio(0.0)
    assert came(line, None, 0.0) == 0
    assert came(line, None, 5.0) == 0


@given(st.lists(st.tuples(st.one_of(st.none(), st.integers(0, 10**13)), st.floats(0, 3)), max_size=50))
def test_silence_is_never_negative_and_bounded(steps: list[tuple[int | None, float]]) -> None:
    line, now = MissingAudio(0.0), 0.0
    for at_ms, wait_s in steps:
        now += wait_s
        assert 0 <= line.overdue(now) <= 3 / 0.02 + 11
        assert 0 <= came(line, at_ms, now) <= LONGEST_MS // 20
