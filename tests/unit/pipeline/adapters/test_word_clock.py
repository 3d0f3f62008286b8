"""Times of written words from word-begin events."""

from pipeline.adapters.spoken import spoken
from pipeline.adapters.word_clock import WordClock
from pipeline.ports import WordTime


def test_a_word_is_known_when_the_next_begins() -> None:
    clock = WordClock(spoken("good day"), 1000)
    clock.begins(0, 0)
    assert clock.audio(500) == ()
    clock.begins(5, 400)
    assert clock.audio(500) == (WordTime("good", 0.0, 0.4),)
    assert clock.finish() == (WordTime("day", 0.4, 1.0),)


def test_words_run_together_share_their_time_by_length() -> None:
    clock = WordClock(spoken("of the house"), 1000)
    clock.begins(0, 0)
    clock.begins(7, 700)
    known = clock.audio(1000)
    assert [(word.text, round(word.start_s, 3), round(word.end_s, 3)) for word in known] == [
        ("of", 0.0, 0.3),
        ("the", 0.3, 0.7),
    ]


def test_a_word_without_sound_has_no_length() -> None:
    clock = WordClock(spoken("yes — no"), 1000)
    clock.begins(0, 0)
    clock.begins(5, 500)
    assert clock.audio(900) == (WordTime("yes", 0.0, 0.5), WordTime("—", 0.5, 0.5))


def test_several_spoken_words_of_one_written_word_are_one() -> None:
    clock = WordClock(spoken("£20 now"), 1000)
    clock.begins(0, 0)
    clock.begins(7, 300)  # "pounds"
    assert clock.audio(500) == ()
    clock.begins(14, 600)
    assert [word.text for word in clock.audio(500)] == ["£20"]


def test_events_that_run_backwards_keep_order() -> None:
    clock = WordClock(spoken("one two three"), 1000)
    clock.begins(4, 500)
    clock.begins(8, 300)
    assert [word.end_s for word in (*clock.audio(600), *clock.finish())] == [0.5, 0.5, 0.6]


def test_no_events_at_all() -> None:
    clock = WordClock(spoken("one two"), 1000)
    clock.audio(800)
    assert [word.text for word in clock.finish()] == ["one", "two"]
