"""The bounded queue of synthesised audio: any cutting in, the same samples out, and an account that closes."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.playout import Playout
from pipeline.ports import WordTime
from voicegate.kernel.audio import Samples, frame_samples
from voicegate.kernel.ids import ReplyId, TurnId

RATE = 16_000
FRAME = frame_samples(RATE)
R1 = ReplyId(TurnId(1), 1)


def tone(samples: int, first: int = 1) -> Samples:
    """A ramp that never repeats within a test, so that every sample shows where it came from."""
    return np.arange(first, first + samples, dtype=np.int64).astype(np.int16)


def opened(*, rate_hz: int = RATE, held: bool = False, **options: Any) -> Any:
    """A :class:`Playout`; Any, because its properties change between two lines and its frames are there."""
    playout = Playout(rate_hz, **options)
    playout.open(R1, held=held)
    return playout


def speak(playout: Playout, text: str, samples: Samples, words: tuple[WordTime, ...] = ()) -> None:
    playout.begin_phrase(text)
    playout.put(samples, words)
    playout.end_phrase()


def take_all(playout: Any) -> list[Samples]:
    frames = []
    while (frame := playout.take()) is not None:
        frames.append(frame)
    return frames


@given(st.lists(st.integers(0, 900), max_size=12), st.sampled_from((8000, 16_000, 24_000, 48_000)))
def test_any_cutting_gives_the_same_frames(cuts: list[int], rate_hz: int) -> None:
    playout = opened(rate_hz=rate_hz)
    whole = tone(sum(cuts))
    playout.begin_phrase("so be it")
    at = 0
    for cut in cuts:
        playout.put(whole[at : at + cut])
        at += cut
    playout.end_phrase()
    playout.finish()
    frames = take_all(playout)
    length = frame_samples(rate_hz)
    assert all(frame.shape == (length,) and frame.dtype == np.int16 for frame in frames)
    padded = np.zeros(-(-len(whole) // length) * length, np.int16)
    padded[: len(whole)] = whole
    assert np.array_equal(np.concatenate(frames) if frames else np.zeros(0, np.int16), padded)
    assert playout.drained


@given(st.lists(st.tuples(st.integers(1, 700), st.integers(0, 3)), max_size=12))
def test_taking_in_between_changes_nothing(steps: list[tuple[int, int]]) -> None:
    playout = opened()
    playout.begin_phrase("one two three")
    taken: list[Samples | None] = []
    put = 0
    for samples, takes in steps:
        playout.put(tone(samples, put + 1))
        put += samples
        taken += [playout.take() for _ in range(takes)]
    playout.end_phrase()
    taken += take_all(playout)
    frames = [frame for frame in taken if frame is not None]
    assert np.array_equal(np.concatenate([*frames, tone(0)])[:put], tone(put))


def test_a_frame_waits_for_the_rest_of_its_phrase() -> None:
    playout = opened()
    playout.begin_phrase("hello there")
    playout.put(tone(FRAME - 1))
    assert playout.take() is None
    assert playout.starved
    playout.put(tone(1, FRAME))
    assert not playout.starved
    assert np.array_equal(playout.take(), tone(FRAME))
    assert playout.starved


def test_the_tail_of_a_phrase_runs_into_the_next() -> None:
    playout = opened()
    speak(playout, "one", tone(FRAME + 100))
    playout.take()
    playout.begin_phrase("two")
    assert playout.take() is None
    assert playout.starved
    playout.put(tone(FRAME, FRAME + 101))
    assert np.array_equal(playout.take(), tone(FRAME, FRAME + 1))


def test_a_tail_without_a_successor_is_padded() -> None:
    playout = opened()
    speak(playout, "one", tone(100))
    frame = playout.take()
    assert frame.shape == (FRAME,)
    assert np.array_equal(frame[:100], tone(100))
    assert not frame[100:].any()


def test_a_phrase_that_failed_midway_is_played_as_far_as_it_came() -> None:
    playout = opened()
    playout.begin_phrase("one two three four five six")
    playout.put(tone(100))
    assert playout.take() is None
    playout.finish()
    assert not playout.drained
    assert np.array_equal(playout.take()[:100], tone(100))
    assert playout.drained
    assert playout.clear().heard == ""


def test_held_until_released() -> None:
    playout = opened(held=True)
    speak(playout, "one", tone(FRAME))
    assert playout.take() is None
    assert playout.take_clip() is None
    assert not playout.starved
    playout.release()
    assert playout.take() is not None


@given(st.booleans(), st.booleans(), st.booleans(), st.integers(0, 2 * FRAME), st.booleans())
def test_takeable_is_when_taking_gives_something(
    held: bool, paused: bool, whole: bool, samples: int, sound: bool
) -> None:
    playout = opened(held=held, clips=not sound)
    playout.begin_phrase("one")
    playout.put(tone(samples))
    if whole:
        playout.end_phrase()
    if paused:
        playout.pause()
    takeable = playout.takeable
    assert takeable == ((playout.take() if sound else playout.take_clip()) is not None)


def test_full_at_capacity_yet_nothing_is_refused() -> None:
    playout = opened(capacity_ms=40)
    playout.begin_phrase("one")
    playout.put(tone(2 * FRAME - 1))
    assert not playout.full
    playout.put(tone(1))
    assert playout.full
    playout.put(tone(FRAME))
    assert playout.unheard_ms == 60
    playout.take()
    playout.take()
    assert not playout.full


def test_drained_only_after_finish_and_only_once_all_was_taken() -> None:
    playout = opened()
    assert playout.starved
    assert not playout.drained
    speak(playout, "one", tone(FRAME))
    playout.take()
    assert playout.starved
    assert not playout.drained
    playout.finish()
    assert playout.drained
    assert not playout.starved


def test_phrases_without_audio() -> None:
    playout = opened()
    speak(playout, "silent", tone(0))
    assert playout.take() is None
    speak(playout, "one", tone(FRAME))
    assert playout.take() is not None
    speak(playout, "also silent", tone(0))
    assert playout.take() is None
    playout.finish()
    assert playout.drained
    ledger = playout.clear()
    assert "one" in ledger.heard
    assert "also" not in ledger.heard


def test_a_pause_fades_once_and_then_is_silent() -> None:
    playout = opened()
    speak(playout, "one", np.full(10 * FRAME, 1000, np.int16))
    playout.take()
    playout.pause()
    assert playout.paused
    fade = playout.take()
    assert fade.shape == (FRAME,)
    assert fade[0] == 1000
    assert (np.diff(fade) <= 0).all()
    assert not fade[RATE * 5 // 1000 - 1 :].any()
    assert [playout.take() for _ in range(3)] == [None, None, None]
    assert not playout.starved
    playout.pause()
    assert playout.take() is None


def test_no_fade_before_the_first_sample() -> None:
    for held in (False, True):
        playout = opened(held=held)
        speak(playout, "one", tone(FRAME))
        playout.pause()
        assert playout.take() is None


def test_the_fade_of_a_reply_that_is_all_but_over_is_no_longer_than_it() -> None:
    playout = opened()
    speak(playout, "one", np.full(FRAME + 10, 1000, np.int16))
    playout.take()
    playout.pause()
    fade = playout.take()
    assert fade[0] == 1000
    assert not fade[10:].any()
    playout.resume()
    assert playout.take() is not None


FOUR = "alpha beta gamma delta"
TIMES = tuple(WordTime(word, at, at + 0.4) for word, at in zip(FOUR.split(), (0.0, 0.4, 0.8, 1.2), strict=True))


def test_resume_goes_back_to_the_start_of_the_cut_word_and_heard_words_stay_heard() -> None:
    playout = opened()
    speak(playout, FOUR, tone(1600 * 16), TIMES)
    for _ in range(54):  # 1.08 s: in the middle of gamma, which began at 0.8
        playout.take()
    assert playout.ledger().heard == "alpha beta gamma"
    playout.pause()
    playout.take()
    playout.resume()
    frame = playout.take()
    began = int(frame[0]) - 1
    assert 0.78 * RATE <= began <= 0.8 * RATE
    assert playout.ledger().heard == "alpha beta gamma"
    playout.finish()
    rest = np.concatenate([frame, *take_all(playout)])
    assert np.array_equal(rest[: 1600 * 16 - began], tone(1600 * 16)[began:])
    assert playout.drained
    assert playout.clear().heard == FOUR


def test_what_was_heard_before_a_rewind_was_heard() -> None:
    playout = opened()
    speak(playout, FOUR, tone(1600 * 16), TIMES)
    for _ in range(54):
        playout.take()
    playout.pause()
    playout.resume()
    playout.take()
    assert playout.clear().heard == "alpha beta gamma"


def test_a_better_estimate_takes_no_word_back() -> None:
    """A slow voice: at first its words seem to be further on than they are."""
    playout = opened()
    playout.begin_phrase("alpha beta gamma delta")
    playout.put(tone(RATE))
    for _ in range(50):
        playout.take()
    heard = playout.ledger().heard
    assert heard == "alpha beta gamma"
    playout.put(tone(5 * RATE))
    playout.end_phrase()
    assert playout.ledger().heard == heard
    assert playout.clear().heard == heard


def test_resume_goes_back_no_further_than_audio_is_kept() -> None:
    playout = opened()
    speak(playout, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", tone(20_000))
    for _ in range(50):
        playout.take()
    playout.pause()
    playout.resume()
    assert int(playout.take()[0]) - 1 == 50 * FRAME - 600 * RATE // 1000


def test_resume_after_a_whole_phrase_repeats_nothing() -> None:
    playout = opened()
    speak(playout, "let me see", tone(10 * FRAME))
    assert len(take_all(playout)) == 10
    playout.pause()
    playout.resume()
    assert playout.take() is None
    assert playout.starved


def test_resume_without_a_pause_is_nothing() -> None:
    playout = opened()
    speak(playout, FOUR, tone(50 * FRAME))
    playout.take()
    playout.resume()
    assert int(playout.take()[0]) == FRAME + 1


@given(st.lists(st.sampled_from(("take", "take", "take", "pause", "resume", "ledger", "phrase", "more")), max_size=80))
def test_whatever_happens_the_account_closes_and_never_shrinks(acts: list[str]) -> None:
    playout = opened()
    texts = [f"word{number} and{number} so{number}" for number in range(20)]
    spoken: list[str] = []
    heard = 0
    position = 1
    for act in acts:
        match act:
            case "take":
                frame = playout.take()
                assert frame is None or frame.shape == (FRAME,)
            case "pause":
                playout.pause()
            case "resume":
                playout.resume()
            case "phrase" if len(spoken) < 20:
                if spoken:
                    playout.end_phrase()
                spoken.append(texts[len(spoken)])
                playout.begin_phrase(spoken[-1])
            case "more" if spoken:
                playout.put(tone(1500, position))
                position += 1500
            case _:
                count = len(playout.ledger().heard.split())
                assert count >= heard
                heard = count
    ledger = playout.clear()
    assert ledger.generated == " ".join(spoken)
    assert sorted(f"{ledger.heard} {ledger.cut}".split()) == sorted(ledger.generated.split())
    assert len(ledger.heard.split()) >= heard
    assert ledger.generated.startswith(ledger.heard)
    assert playout.reply is None
    assert not playout.paused
    assert playout.ledger().words == ()


def test_clear_cuts_what_was_not_taken() -> None:
    playout = opened()
    speak(playout, FOUR, tone(1600 * 16), TIMES)
    for _ in range(35):  # 0.7 s: beta is out, gamma has not begun
        playout.take()
    assert [word.state for word in playout.ledger().words] == ["heard", "heard", "generated", "generated"]
    ledger = playout.clear()
    assert (ledger.heard, ledger.cut) == ("alpha beta", "gamma delta")
    assert [word.state for word in ledger.words] == ["heard", "heard", "cut", "cut"]
    assert playout.take() is None


# --- transports that take whole phrases ---


def clips(**options: Any) -> Any:
    return opened(clips=True, **options)


def test_a_clip_is_a_whole_phrase_once_it_is_complete() -> None:
    playout = clips()
    playout.begin_phrase("one two")
    playout.put(tone(700))
    assert playout.take_clip() is None
    playout.put(tone(300, 701))
    playout.end_phrase()
    clip = playout.take_clip()
    assert clip.text == "one two"
    assert np.array_equal(clip.samples, tone(1000))
    assert playout.take_clip() is None


def test_clips_without_audio_are_skipped() -> None:
    playout = clips()
    speak(playout, "silent", tone(0))
    speak(playout, "one", tone(500))
    assert playout.take_clip().text == "one"


def test_a_clip_that_failed_midway_is_given_as_far_as_it_came() -> None:
    playout = clips()
    playout.begin_phrase("one two")
    playout.put(tone(700))
    playout.finish()
    assert len(playout.take_clip().samples) == 700
    playout.played(700)
    assert playout.drained


def test_a_clip_is_heard_as_it_is_played_and_starved_only_after_that() -> None:
    playout = clips()
    speak(playout, FOUR, tone(1600 * 16), TIMES)
    assert not playout.starved
    playout.take_clip()
    assert [word.state for word in playout.ledger().words] == ["sent"] * 4
    assert not playout.drained
    assert not playout.starved
    assert playout.unheard_ms == 1600
    playout.played(700 * 16)
    assert playout.ledger().heard == "alpha beta"
    assert playout.unheard_ms == 900
    playout.played(10**9)
    assert playout.ledger().heard == FOUR
    assert playout.starved
    playout.finish()
    assert playout.drained


def test_a_finished_reply_is_drained_only_when_its_last_clip_was_played() -> None:
    playout = clips()
    speak(playout, "one", tone(1000))
    playout.finish()
    playout.take_clip()
    assert not playout.drained
    playout.played(999)
    assert not playout.drained
    playout.played(1)
    assert playout.drained


def test_a_clip_on_its_way_cannot_be_stopped() -> None:
    playout = clips()
    speak(playout, "one two", tone(16_000))
    speak(playout, "three four", tone(16_000))
    playout.take_clip()
    playout.pause()
    assert playout.take_clip() is None
    ledger = playout.clear()
    assert (ledger.heard, ledger.cut) == ("one two", "three four")


def test_a_clip_longer_than_the_capacity_comes_in_whole() -> None:
    playout = clips(capacity_ms=100)
    playout.begin_phrase("long")
    playout.put(tone(20 * FRAME))
    assert not playout.full
    playout.end_phrase()
    assert playout.full
    playout.take_clip()
    assert not playout.full


def test_a_paused_clip_transport_resumes_with_the_next_phrase() -> None:
    playout = clips()
    speak(playout, "one", tone(500))
    speak(playout, "two", tone(500, 501))
    playout.take_clip()
    playout.pause()
    playout.resume()
    assert playout.take_clip().text == "two"


@pytest.mark.parametrize("rate_hz", [8000, 16_000, 24_000, 48_000])
def test_frames_are_20_ms_at_every_rate(rate_hz: int) -> None:
    playout = opened(rate_hz=rate_hz)
    speak(playout, "one", tone(rate_hz))
    frames = take_all(playout)
    assert {frame.shape for frame in frames} == {(rate_hz // 50,)}
    assert len(frames) == 50


# --- a transport that takes ahead of the ear and confirms ---


def confirmed(frames: int = 100) -> Any:
    """Four words, a quarter of the frames each."""
    playout = opened(confirmed=True)
    quarter = frames * 20 / 4000
    times = tuple(WordTime(word, i * quarter, (i + 1) * quarter) for i, word in enumerate(FOUR.split()))
    speak(playout, FOUR, tone(frames * FRAME), times)
    return playout


def take(playout: Any, frames: int) -> Samples:
    return np.concatenate([playout.take() for _ in range(frames)])


def test_what_was_taken_ahead_is_heard_when_it_is_confirmed() -> None:
    playout = confirmed()
    playout.finish()
    take(playout, 100)
    assert (playout.ledger().heard, playout.drained, playout.unheard_ms) == ("", False, 2000)
    playout.played(26 * FRAME)
    assert (playout.ledger().heard, playout.drained, playout.unheard_ms) == ("alpha", False, 1480)
    playout.played(10**9)
    assert (playout.ledger().heard, playout.drained, playout.unheard_ms) == (FOUR, True, 0)


def test_nothing_starves_while_the_peer_still_plays() -> None:
    playout = confirmed(10)
    take(playout, 10)
    assert not playout.starved
    playout.played(10 * FRAME)
    assert playout.starved


def test_a_pause_takes_back_what_nobody_heard_and_fades_nothing() -> None:
    playout = confirmed()
    take(playout, 60)
    playout.played(55 * FRAME)
    playout.pause()
    assert playout.take() is None
    playout.resume()
    assert np.array_equal(playout.take(), tone(FRAME, 50 * FRAME + 1)), "it goes on at the start of the word"
    assert playout.unheard_ms == 1000


def test_audio_that_is_played_again_is_not_heard_twice() -> None:
    playout = confirmed()
    take(playout, 60)
    playout.played(58 * FRAME)
    heard = playout.ledger().heard
    playout.pause()
    playout.resume()
    take(playout, 8)
    playout.played(2 * FRAME)
    assert playout.ledger().heard == heard == "alpha beta"
    playout.played(6 * FRAME)
    take(playout, 20)
    playout.played(20 * FRAME)
    assert playout.ledger().heard == "alpha beta gamma"


def test_cut_is_what_was_not_confirmed() -> None:
    playout = confirmed()
    take(playout, 60)
    playout.played(45 * FRAME)
    ledger = playout.clear()
    assert (ledger.heard, ledger.cut) == ("alpha beta", "gamma delta")


def test_a_lost_transport_loses_nothing_of_the_reply() -> None:
    playout = confirmed()
    playout.finish()
    first = take(playout, 30)
    playout.played(22 * FRAME)
    playout.take_back()
    again = take(playout, 78)
    assert np.array_equal(np.concatenate([first[: 22 * FRAME], again]), tone(100 * FRAME))
    playout.played(78 * FRAME)
    assert playout.drained


def test_what_counted_as_heard_when_taken_is_not_taken_back() -> None:
    playout = opened()
    speak(playout, FOUR, tone(10 * FRAME))
    take(playout, 4)
    playout.take_back()
    assert np.array_equal(playout.take(), tone(FRAME, 4 * FRAME + 1))


def test_all_that_is_unheard_can_be_taken_back_however_far_the_peer_is_ahead() -> None:
    playout = confirmed(200)
    take(playout, 150)
    playout.take_back()
    assert np.array_equal(playout.take(), tone(FRAME))


def test_a_phrase_that_ended_before_is_not_seen_again() -> None:
    playout = opened(confirmed=True)
    speak(playout, "one", tone(FRAME))
    speak(playout, "two", tone(3 * FRAME))
    ends = []
    while playout.take() is not None:
        ends.append(playout.at_phrase_end)
    assert ends == [True, False, False, True]


def test_the_end_of_a_phrase_is_seen_in_the_frame_that_holds_it() -> None:
    playout = opened(confirmed=True)
    speak(playout, "one", tone(FRAME + 100))
    speak(playout, "two", tone(2 * FRAME - 100))
    ends = []
    while playout.take() is not None:
        ends.append(playout.at_phrase_end)
    assert ends == [False, True, True]


@given(st.lists(st.one_of(st.integers(1, 12), st.sampled_from(["played", "pause", "lost"])), max_size=40))
def test_whatever_happens_the_ear_gets_every_sample_in_order(steps: list[int | str]) -> None:
    playout = confirmed(40)
    playout.finish()
    on_the_way: list[Samples] = []
    heard, words = 0, 0
    for step in [*steps, 100, *["played"] * 100]:
        match step:
            case "played" if on_the_way:
                frame = on_the_way.pop(0)
                assert frame[0] <= heard + 1, "nothing is left out"
                heard = max(heard, int(frame[-1]))
                playout.played(FRAME)
            case "pause" | "lost":
                on_the_way.clear()  # the peer was told to clear
                playout.pause() if step == "pause" else playout.take_back()
                playout.resume()
            case int(count):
                on_the_way += [frame for _ in range(count) if (frame := playout.take()) is not None]
            case _:
                pass
        now = sum(word.state == "heard" for word in playout.ledger().words)
        assert now >= words, "what was heard stays heard"
        words = now
    assert heard == 40 * FRAME
    assert playout.drained


@given(
    st.lists(st.tuples(st.integers(1, 1500), st.booleans()), min_size=1, max_size=8),
    st.integers(1, 12),
    st.booleans(),
)
def test_frames_that_are_taken_together_are_those_that_are_taken_one_by_one(
    phrases: list[tuple[int, bool]], most: int, confirmed: bool
) -> None:
    one, several = opened(confirmed=confirmed), opened(confirmed=confirmed)
    for playout in (one, several):
        for number, (samples, complete) in enumerate(phrases):
            playout.begin_phrase(str(number))
            playout.put(tone(samples, 1 + number))
            if complete:
                playout.end_phrase()
    singly, ends = [], []
    while (frame := one.take()) is not None:
        singly.append(frame)
        ends.append(one.at_phrase_end)
    taken, at = [], 0
    while (frames := several.take(most)) is not None:
        count = frames.size // FRAME
        assert frames.size % FRAME == 0
        assert 1 <= count <= most
        assert not any(ends[at : at + count - 1]), "nothing behind the end of a phrase"
        assert several.at_phrase_end == ends[at + count - 1]
        at += count
        taken.append(frames)
    assert np.array_equal(np.concatenate([*singly, tone(0)]), np.concatenate([*taken, tone(0)]))
    assert several.unheard_ms == one.unheard_ms


def test_of_several_frames_that_were_sent_ahead_what_nobody_heard_is_taken_again_to_the_sample() -> None:
    playout = opened(confirmed=True)
    speak(playout, "a long one", tone(10 * FRAME))
    assert playout.take(6).size == 6 * FRAME
    playout.played(2 * FRAME + 7)
    playout.take_back()
    assert playout.take(1)[0] == 2 * FRAME + 8
