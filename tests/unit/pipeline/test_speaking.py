"""The way out: what the machine is told of a reply in playout, and what the history keeps of it."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from pipeline.history import History
from pipeline.playout import Playout
from pipeline.reply import ReplyRun
from pipeline.reporter import Reporter
from pipeline.speaking import Speaking
from pipeline.turn_messages import ReplyAudible, ReplyDrained, ReplyStarved, TurnEvent
from voicegate.kernel.events import Event
from voicegate.kernel.ids import ReplyId, SessionId, TurnId

RATE = 16_000
FRAME = 320
R1 = ReplyId(TurnId(1), 1)


class Still:
    """A clock that stands."""

    def monotonic(self) -> float:
        return 5.0

    def utc(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)


class Kept:
    """An event sink that keeps."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def emit(self, event: Event) -> None:
        self.events.append(event)

    async def stored(self) -> None:
        return


class Mouth:
    """A released reply in playout, with everything that is said about it."""

    def __init__(self, *, clips: bool = False, confirmed: bool = False) -> None:
        self.playout = Playout(RATE, clips=clips, confirmed=confirmed)
        self.history = History()
        self.sink = Kept()
        self.told: list[TurnEvent] = []
        self.speaking = Speaking(
            self.playout, self.history, Reporter(SessionId("s"), self.sink, Still()), lambda: 5.0, self.told.append
        )
        observer: Any = self
        self.run = ReplyRun(R1, "a line", agent="host", playout=self.playout, observer=observer)
        self.speaking.open(self.run)
        self.run.release()
        self.speaking.release()

    def speak(self, text: str, frames: int, *, filler: bool = False, whole: bool = True) -> None:
        self.playout.begin_phrase(text)
        self.playout.put(np.full(frames * FRAME, 1000, np.int16))
        self.speaking.audio_came(filler=filler)
        if whole:
            self.playout.end_phrase()

    def complete(self, *, failed: bool = False) -> None:
        self.run.complete, self.run.failed = True, failed
        self.playout.finish()
        self.speaking.check_drained()

    def take(self, frames: int) -> None:
        for _ in range(frames):
            self.speaking.take_frames()

    def events(self, kind: str) -> list[Any]:
        return [event for event in self.sink.events if type(event).__name__ == kind]


@pytest.fixture
def mouth() -> Mouth:
    return Mouth()


@pytest.fixture
def clip_mouth() -> Mouth:
    return Mouth(clips=True)


def test_a_reply_is_audible_once_starved_once_and_drained_once(mouth: Mouth) -> None:
    mouth.speak("one two", 2)
    mouth.speak("three", 1)
    assert mouth.told == [ReplyAudible(5.0, R1)]
    mouth.take(6)
    assert mouth.told[1:] == [ReplyStarved(5.0, R1)]
    mouth.speak("four", 1)
    mouth.complete()
    mouth.take(2)
    assert mouth.told[2:] == [ReplyAudible(5.0, R1), ReplyDrained(5.0, R1)]
    assert [message.text for message in mouth.history.messages] == ["one two three four"]
    assert [event.text for event in mouth.events("ReplyFinished")] == ["one two three four"]


def test_a_filler_is_told_from_the_reply_that_follows_it(mouth: Mouth) -> None:
    mouth.speak("one moment", 2, filler=True)
    mouth.speak("still", 2, filler=True)
    mouth.speak("here it is", 2)
    assert mouth.told == [ReplyAudible(5.0, R1, filler=True), ReplyAudible(5.0, R1)]


def test_what_failed_midway_is_no_finished_reply_and_its_unsaid_words_are_cut(mouth: Mouth) -> None:
    mouth.speak("one two", 5)
    mouth.speak("three four five six seven eight", 1, whole=False)
    mouth.complete(failed=True)
    mouth.take(7)
    assert mouth.told[-1] == ReplyDrained(5.0, R1)
    assert [(message.text, message.interrupted) for message in mouth.history.messages] == [("one two", True)]
    (cut,) = mouth.events("ReplyInterrupted")
    assert (cut.heard, cut.cut, cut.reason) == ("one two", "three four five six seven eight", "failed")
    assert mouth.events("ReplyFinished") == []


def test_all_was_taken_while_paused_counts_only_after_the_pause(mouth: Mouth) -> None:
    mouth.speak("one", 1)
    mouth.take(1)
    mouth.speaking.pause()
    mouth.complete()
    assert ReplyDrained(5.0, R1) not in mouth.told
    mouth.speaking.resume()
    assert mouth.told[-1] == ReplyDrained(5.0, R1)


def test_a_transport_of_clips_starves_when_the_last_one_was_played(clip_mouth: Mouth) -> None:
    clip_mouth.speak("one two", 5)
    assert clip_mouth.speaking.take_clip() is not None
    assert clip_mouth.speaking.take_clip() is None
    assert clip_mouth.told == [ReplyAudible(5.0, R1)]
    clip_mouth.speaking.clip_played(5 * FRAME)
    assert clip_mouth.speaking.take_clip() is None
    assert clip_mouth.told[1:] == [ReplyStarved(5.0, R1)]


def test_clips_on_their_way_are_still_to_be_heard(clip_mouth: Mouth) -> None:
    clip_mouth.speak("one two", 50)
    left = [clip_mouth.speaking.left_s]
    clip_mouth.complete()
    clip_mouth.speaking.take_clip()
    left.append(clip_mouth.speaking.left_s)
    clip_mouth.speaking.clip_played(25 * FRAME)
    left.append(clip_mouth.speaking.left_s)
    assert left == [None, 1.0, 0.5]


def test_a_cancelled_reply_keeps_what_was_heard(mouth: Mouth) -> None:
    mouth.speak("one two", 50)
    mouth.speak("three four", 50)
    mouth.take(52)
    mouth.speaking.cancel("barge_in")
    assert [(message.text, message.interrupted) for message in mouth.history.messages] == [("one two", True)]
    (cut,) = mouth.events("ReplyInterrupted")
    assert (cut.heard, cut.cut, cut.reason) == ("one two", "three four", "barge_in")
    assert mouth.speaking.run is None


@pytest.mark.parametrize("act", [lambda m: m.speaking.cancel("again"), lambda m: m.speaking.check_drained()])
def test_after_the_end_of_a_reply_nothing_more_is_said_of_it(mouth: Mouth, act: Callable[[Mouth], None]) -> None:
    mouth.speak("one", 1)
    mouth.speaking.revoke()
    told, events = len(mouth.told), len(mouth.sink.events)
    act(mouth)
    assert mouth.speaking.take_frames() is None
    assert (len(mouth.told), len(mouth.sink.events)) == (told, events)
    assert mouth.history.messages == ()


@pytest.fixture
def ahead() -> Mouth:
    """A transport that takes ahead of the ear: sixty of a hundred frames were taken."""
    mouth = Mouth(confirmed=True)
    mouth.speak("one two", 50)
    mouth.speak("three four", 50)
    mouth.complete()
    mouth.take(60)
    return mouth


def test_before_playout_stops_the_transport_says_what_was_heard(ahead: Mouth) -> None:
    ahead.speaking.on_stop = lambda: ahead.speaking.frames_played(52 * FRAME)
    ahead.speaking.cancel("barge_in")
    (cut,) = ahead.events("ReplyInterrupted")
    assert (cut.heard, cut.cut) == ("one two", "three four")


def test_a_pause_too_asks_the_transport_and_then_goes_on_from_the_ear(ahead: Mouth) -> None:
    ahead.speaking.on_stop = lambda: ahead.speaking.frames_played(52 * FRAME)
    ahead.speaking.pause()
    ahead.speaking.on_stop = None
    ahead.speaking.resume()
    ahead.take(50)
    ahead.speaking.frames_played(10**9)
    assert ahead.told[-1] == ReplyDrained(5.0, R1)
    assert [event.text for event in ahead.events("ReplyFinished")] == ["one two three four"]


def test_a_reply_drains_when_the_last_of_it_was_heard(ahead: Mouth) -> None:
    ahead.take(40)
    ahead.speaking.frames_played(99 * FRAME)
    assert ReplyDrained(5.0, R1) not in ahead.told
    ahead.speaking.frames_played(FRAME)
    assert ahead.told[-1] == ReplyDrained(5.0, R1)


def test_what_turns_out_to_have_been_heard_to_its_end_is_not_interrupted(ahead: Mouth) -> None:
    ahead.take(40)
    ahead.speaking.on_stop = lambda: ahead.speaking.frames_played(100 * FRAME)
    ahead.speaking.cancel("barge_in")
    assert ahead.events("ReplyInterrupted") == []
    assert [event.text for event in ahead.events("ReplyFinished")] == ["one two three four"]


def test_a_transport_that_is_gone_is_not_asked_and_what_it_had_is_played_again(ahead: Mouth) -> None:
    asked: list[str] = []
    ahead.speaking.on_stop = lambda: asked.append("stop")
    ahead.speaking.frames_played(50 * FRAME)
    ahead.speaking.detached()
    ahead.take(50)
    assert ahead.speaking.at_phrase_end
    ahead.speaking.frames_played(50 * FRAME)
    ahead.speaking.cancel("hang_up")
    assert asked == []
    assert [event.text for event in ahead.events("ReplyFinished")] == ["one two three four"]


def test_audio_after_silence_wakes_the_transport_once(mouth: Mouth) -> None:
    """A voice puts its audio in many pieces at once; each waking would be a frame sent ahead of its time."""
    wakes: list[int] = []
    mouth.speaking.on_audio = lambda: wakes.append(1)
    mouth.take(1)
    for word in ("one", "two", "three"):
        mouth.speak(word, 1)
    assert len(wakes) == 1
    mouth.take(4)
    mouth.speak("four", 1)
    assert len(wakes) == 2, "silence came in between"
