"""The way in, driven by hand: when voice activity answers is up to the test."""

from collections import deque
from dataclasses import dataclass, field

import numpy as np
import pytest

from pipeline.listening import Listening
from pipeline.ports import OnProbability
from pipeline.vad import VadConfig, VoiceBegan, VoiceEdge
from voicegate.kernel.audio import Frame

WINDOW = 512


@dataclass
class Activity:
    """Voice activity that answers one window at a time, when it is told to."""

    loud_from: int = 0
    """Samples from here on are voiced."""
    taken: int = 0
    _end: int = 0
    _tell: deque[OnProbability] = field(default_factory=deque)

    def open(self, on_probability: OnProbability) -> "Activity":
        self._tell.append(on_probability)
        return self

    def push(self, frame: Frame) -> None:
        self.taken += len(frame)

    def close(self) -> None: ...

    def lose(self, windows: int) -> None:
        """These are never answered."""
        self._end += windows * WINDOW

    def answer(self) -> bool:
        """Answer the next window, if all of it was pushed."""
        if self._end + WINDOW > self.taken:
            return False
        self._end += WINDOW
        self._tell[0](1.0 if self._end > self.loud_from else 0.0, self._end)
        return True


@dataclass
class Transcripts:
    """Keeps the first sample of every frame it is given."""

    heard: list[int] = field(default_factory=list)

    def push(self, frame: Frame) -> None:
        self.heard.append(int(frame[0]))


@dataclass
class Ear:
    activity: Activity
    transcripts: Transcripts = field(default_factory=Transcripts)
    edges: list[VoiceEdge] = field(default_factory=list)
    now: float = 0.0
    count: int = 0

    def __post_init__(self) -> None:
        self.listening = Listening(
            self.activity,
            self.transcripts,  # type: ignore[arg-type]
            VadConfig(),
            pre_roll_ms=240,
            now=lambda: self.now,
            on_edge=self.edges.append,
            on_flushed=lambda: None,
        )

    def push(self, frames: int) -> None:
        """Frames that are numbered in their samples, all at this moment."""
        for _ in range(frames):
            self.listening.push(np.full(320, self.count, np.int16))
            self.count += 1

    def answer_all(self) -> None:
        while self.activity.answer():
            pass


@pytest.mark.parametrize("pause_s", [0.0, 5.0], ids=["at once", "after a pause in the audio"])
def test_all_of_a_burst_reaches_speech_to_text(pause_s: float) -> None:
    ear = Ear(Activity(loud_from=100 * 320 + 1))
    ear.push(1)
    ear.answer_all()
    for _ in range(49):  # silence, in real time
        ear.push(2)
        ear.answer_all()
        ear.now += 0.04
    ear.now += pause_s
    first = ear.count
    ear.push(200)  # a file: speech from its second frame on, while voice activity is busy elsewhere
    ear.answer_all()
    assert [type(edge) for edge in ear.edges] == [VoiceBegan]
    assert ear.transcripts.heard[-1] == ear.count - 1
    assert set(range(first, ear.count)) <= set(ear.transcripts.heard)


def test_lost_answers_are_not_waited_for() -> None:
    ear = Ear(Activity(loud_from=0))
    ear.push(12)
    ear.activity.lose(7)
    ear.push(1)
    ear.answer_all()
    assert ear.activity.taken == 12 * 320, "it still waits"
    ear.now += 0.6
    ear.push(40)
    assert ear.activity.taken == 14 * 320, "one window more, no burst"
    ear.answer_all()
    assert ear.activity.taken >= 46 * 320
    assert ear.transcripts.heard[-1] == ear.count - 1


@pytest.mark.parametrize(("frames", "covered_s"), [(1, 0.0), (15, 0.28), (50, 0.98), (5000, 1.2)])
def test_a_chunk_covers_the_time_until_the_next_one(frames: int, covered_s: float) -> None:
    """A recorder that gives 300 ms at a time is not silent in between; a whole file covers no more than a chunk."""
    ear = Ear(Activity())
    for _ in range(3):
        ear.now += max(0.02, frames * 0.02)
        ear.push(frames)
        assert ear.listening.covered_until == pytest.approx(ear.now + covered_s)


def test_filled_silence_covers_nothing() -> None:
    ear = Ear(Activity(), now=1.0)
    ear.push(1)
    ear.now += 0.3
    ear.listening.fill(15)
    assert ear.listening.covered_until == ear.now
