"""The model of a carrier's buffer: nothing is lost, nothing is early, marks come when they are due."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicegate.client.carriers.playout import PlayoutModel, messages_ms
from voicegate.kernel.audio import Samples

RATE = 8_000
FRAME = 160


def ramp(count: int, start: int = 1) -> Samples:
    return np.arange(start, start + count, dtype=np.int16)


def test_frames_of_20_ms_whatever_was_put() -> None:
    model = PlayoutModel(RATE)
    model.put(ramp(100))
    model.put(ramp(300, 101))
    first, second, third, fourth = (model.take().frame for _ in range(4))
    assert first is not None
    assert first.tolist() == ramp(160).tolist()
    assert second is not None
    assert second.tolist() == ramp(160, 161).tolist()
    assert third is not None
    assert third.tolist() == ramp(80, 321).tolist() + [0] * 80
    assert fourth is None


def test_a_mark_is_due_when_all_before_it_was_audible() -> None:
    model = PlayoutModel(RATE)
    model.put(ramp(320))
    model.mark("end")
    assert [model.take().marks for _ in range(4)] == [(), (), ("end",), ()]


def test_a_mark_in_the_middle_of_a_frame_waits_for_the_frame() -> None:
    model = PlayoutModel(RATE)
    model.put(ramp(200))
    model.mark("middle")
    model.put(ramp(300))
    assert [model.take().marks for _ in range(3)] == [(), (), ("middle",)]


def test_a_mark_after_nothing_is_due_at_once() -> None:
    model = PlayoutModel(RATE)
    model.mark("now")
    assert model.take().marks == ("now",)


def test_clear_drops_the_rest_and_names_the_waiting_marks() -> None:
    model = PlayoutModel(RATE)
    model.put(ramp(FRAME))
    model.mark("a")
    model.put(ramp(FRAME * 3))
    model.mark("b")
    assert model.take().frame is not None
    assert model.clear() == ("a", "b")
    assert model.idle
    assert model.take().frame is None
    model.put(ramp(FRAME))
    model.mark("c")
    assert model.take().marks == ()
    assert model.take().marks == ("c",)


def test_what_does_not_fit_is_lost() -> None:
    model = PlayoutModel(RATE, limit_ms=messages_ms(2))
    assert model.put(ramp(FRAME)) == 0
    assert model.put(ramp(FRAME * 2)) == FRAME
    assert model.buffered_ms == 40
    assert model.most_ms == 40


def test_a_pause_keeps_what_is_there() -> None:
    model = PlayoutModel(RATE)
    model.put(ramp(FRAME))
    model.paused = True
    assert model.take().frame is None
    model.paused = False
    assert model.take().frame is not None


@given(st.lists(st.integers(1, 700), max_size=12))
def test_all_that_was_put_is_played_in_order(sizes: list[int]) -> None:
    model = PlayoutModel(RATE)
    start, names = 1, []
    for number, size in enumerate(sizes):
        model.put(ramp(size, start))
        start += size
        model.mark(str(number))
        names.append(str(number))
    played: list[Samples] = []
    marks: list[str] = []
    while not model.idle:
        step = model.take()
        marks += step.marks
        heard = sum(each.size for each in played)
        for name in step.marks:
            assert heard >= sum(sizes[: int(name) + 1])
        if step.frame is not None:
            played.append(step.frame[step.frame > 0])
    assert marks == names
    whole = np.concatenate(played) if played else np.zeros(0, np.int16)
    assert whole.tolist() == ramp(start - 1).tolist()


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 24_000])
def test_a_frame_is_20_ms_at_every_rate(rate_hz: int) -> None:
    model = PlayoutModel(rate_hz)
    model.put(ramp(rate_hz))
    frame = model.take().frame
    assert frame is not None
    assert frame.size == rate_hz // 50
