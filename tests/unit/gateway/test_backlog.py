"""How much audio waits for a slow reader."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.backlog import Backlog


def test_audio_is_found_by_its_place_in_the_stream() -> None:
    backlog = Backlog()
    for _ in range(10):
        backlog.wrote(642, 20.0)
    backlog.wrote(100)  # an event
    assert backlog.measure(742, 0.0) == 20.0
    assert backlog.measure(100, 0.0) == 0.0


def test_a_piece_counts_until_its_last_byte_left() -> None:
    backlog = Backlog()
    backlog.wrote(642, 20.0)
    assert backlog.measure(1, 0.0) == 20.0
    assert backlog.measure(0, 0.0) == 0.0


def test_stuck_is_the_time_without_progress() -> None:
    backlog = Backlog()
    backlog.wrote(1000)
    assert backlog.stuck_s(50.0) == 0.0, "nothing was measured yet"
    backlog.measure(800, 50.0)
    assert backlog.stuck_s(51.0) == 1.0
    backlog.measure(700, 52.0)
    assert backlog.stuck_s(52.0) == 0.0
    backlog.measure(700, 55.0)
    assert backlog.stuck_s(55.0) == 3.0
    backlog.wrote(500)
    backlog.measure(1200, 56.0)
    assert backlog.stuck_s(56.0) == 4.0, "writing more is no progress"
    backlog.measure(0, 57.0)
    assert backlog.stuck_s(99.0) == 0.0


def test_a_long_idle_time_is_not_being_stuck() -> None:
    backlog = Backlog()
    backlog.wrote(10)
    backlog.measure(0, 0.0)
    before = backlog.empty
    backlog.wrote(10)
    assert (before, backlog.empty) == (True, False)
    backlog.measure(10, 1000.0)
    assert backlog.stuck_s(1000.0) == 0.0


@given(st.lists(st.tuples(st.integers(1, 50), st.sampled_from([0.0, 20.0]), st.integers(0, 200)), max_size=40))
def test_unsent_audio_is_that_of_the_pieces_that_did_not_leave_whole(steps: list[tuple[int, float, int]]) -> None:
    backlog, ends, written, left = Backlog(), [], 0, 0
    for size, audio_ms, leaves in steps:
        backlog.wrote(size, audio_ms)
        written += size
        ends.append((written, audio_ms))
        left = min(written, left + leaves)
        assert backlog.measure(written - left, 0.0) == sum(ms for end, ms in ends if end > left)
