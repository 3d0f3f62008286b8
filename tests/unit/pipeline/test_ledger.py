"""What was heard, word by word: by the provider's times, by position without them, never less than before."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pipeline.ledger import Phrase, account, word_start
from pipeline.ports import WordTime

RATE = 16_000
Times = Sequence[WordTime]


def phrase(text: str, *, start: int = 0, seconds: float = 1.0, complete: bool = True, times: Times = ()) -> Phrase:
    return Phrase(text, start, round(seconds * RATE), complete, list(times))


def heard(phrases: Sequence[Phrase], seconds: float, **options: Any) -> str:
    at = round(seconds * RATE)
    return account(phrases, rate_hz=RATE, sent=at, heard=at, closed=False, **options).heard


def test_a_word_is_out_when_its_middle_is() -> None:
    one = phrase("one two", times=[WordTime("one", 0.0, 0.4), WordTime("two", 0.5, 0.9)])
    assert heard([one], 0.19) == ""
    assert heard([one], 0.21) == "one"
    assert heard([one], 0.69) == "one"
    assert heard([one], 0.71) == "one two"


def test_states_of_words() -> None:
    one = phrase(
        "a b c d", times=[WordTime(word, at, at + 0.2) for word, at in zip("abcd", (0, 0.2, 0.4, 0.6), strict=True)]
    )
    ledger = account([one], rate_hz=RATE, sent=RATE // 2 + 1, heard=RATE // 4, closed=False)
    assert [word.state for word in ledger.words] == ["heard", "sent", "sent", "generated"]
    closed = account([one], rate_hz=RATE, sent=RATE // 2 + 1, heard=RATE // 4, closed=True)
    assert [word.state for word in closed.words] == ["heard", "cut", "cut", "cut"]
    assert (closed.generated, closed.heard, closed.cut) == ("a b c d", "a", "b c d")


def test_times_that_reach_beyond_the_audio_do_not_hide_its_last_word() -> None:
    one = phrase("one two", seconds=0.5, times=[WordTime("one", 0.0, 0.4), WordTime("two", 0.6, 0.9)])
    assert heard([one], 0.5) == "one two"


def test_times_that_do_not_fit_the_words_are_not_used() -> None:
    one = phrase("hello", times=[WordTime("hel", 0.0, 0.1), WordTime("lo", 0.1, 0.2)])
    assert heard([one], 0.3) == ""
    assert heard([one], 0.7) == "hello"


def test_times_that_came_so_far_are_used() -> None:
    one = phrase("one two three", complete=False, seconds=0.5, times=[WordTime("one", 0.0, 0.4)])
    assert heard([one], 0.25) == "one"
    assert heard([one], 0.45) == "one"


def test_without_audio_nothing_is_heard() -> None:
    assert heard([phrase("nothing here", seconds=0.0)], 0.0) == ""
    assert heard([phrase("nothing here", seconds=0.0, times=[WordTime("nothing", 0, 1)])], 0.0) == ""


def test_an_empty_text_has_no_words() -> None:
    assert account([phrase("  ")], rate_hz=RATE, sent=9, heard=9, closed=True).words == ()


def test_known_words_stay_heard() -> None:
    one = phrase("one two three")
    assert heard([one], 0.0, known=2) == "one two"


letters = st.text("abcdefghij", min_size=1, max_size=9)


@given(st.lists(letters, min_size=1, max_size=20), st.floats(0.05, 0.12), st.floats(0, 1))
def test_by_position_within_one_word_of_the_truth(words: list[str], letter_s: float, part: float) -> None:
    """A voice that speaks every letter (and every gap) for equally long."""
    ends = list(accumulate((len(word) + 1) * letter_s for word in words))
    total = ends[-1]
    now = part * total
    truth = sum(end - (len(word) / 2 + 1) * letter_s < now for word, end in zip(words, ends, strict=True))
    count = len(heard([phrase(" ".join(words), seconds=total)], now).split())
    assert abs(count - truth) <= 1


@given(
    st.lists(letters, min_size=1, max_size=20), st.lists(st.floats(0.1, 0.8), min_size=20, max_size=20), st.floats(0, 1)
)
def test_by_times_exactly_the_truth(words: list[str], lengths: list[float], part: float) -> None:
    ends = list(accumulate(lengths[: len(words)]))
    times = [WordTime(word, end - length, end) for word, end, length in zip(words, ends, lengths, strict=False)]
    now = round(part * ends[-1] * RATE) / RATE
    truth = sum((time.start_s + time.end_s) / 2 < now - 1 / RATE for time in times)
    count = len(heard([phrase(" ".join(words), seconds=ends[-1], times=times)], now).split())
    assert truth <= count <= truth + 1


@given(st.lists(st.tuples(st.lists(letters, min_size=1, max_size=5), st.floats(0.1, 2)), min_size=1, max_size=4))
def test_heard_words_are_a_prefix_that_grows_to_the_whole(spoken: list[tuple[list[str], float]]) -> None:
    phrases: list[Phrase] = []
    start = 0
    for words, seconds in spoken:
        phrases.append(phrase(" ".join(words), start=start, seconds=seconds))
        start = phrases[-1].end
    whole = account(phrases, rate_hz=RATE, sent=start, heard=start, closed=True)
    assert whole.heard == whole.generated
    before = 0
    for step in range(11):
        at = start * step // 10
        ledger = account(phrases, rate_hz=RATE, sent=at, heard=at, closed=True)
        count = len(ledger.heard.split())
        assert count >= before
        assert ledger.generated == f"{ledger.heard} {ledger.cut}".strip()
        before = count


# --- where to go on ---

TWO = [
    phrase("one two", times=[WordTime("one", 0.0, 0.4), WordTime("two", 0.5, 0.9)]),
    phrase("three four", start=RATE, times=[WordTime("three", 0.0, 0.4), WordTime("four", 0.5, 0.9)]),
]


def start_s(seconds: float, phrases: Sequence[Phrase] = TWO) -> float:
    return word_start(phrases, rate_hz=RATE, position=round(seconds * RATE)) / RATE


def test_the_start_of_the_word_that_was_cut() -> None:
    assert start_s(0.0) == 0.0
    assert start_s(0.3) == 0.0
    assert start_s(0.6) == 0.45
    assert start_s(1.1) == 1.0
    assert start_s(1.6) == 1.45


def test_between_phrases_no_word_was_cut() -> None:
    assert start_s(1.0) == 1.0
    assert start_s(2.0) == 2.0


def test_an_incomplete_phrase_was_cut_even_at_its_end() -> None:
    assert start_s(1.0, [phrase("one two", complete=False, seconds=1.0)]) < 1.0


def test_without_phrases_there_is_only_the_beginning() -> None:
    assert start_s(0.0, []) == 0.0


@given(st.lists(letters, min_size=1, max_size=12), st.floats(0, 1))
def test_never_ahead_and_never_a_heard_word_too_far_back(words: list[str], part: float) -> None:
    one = phrase(" ".join(words), seconds=2.0)
    position = round(part * 2 * RATE)
    start = word_start([one], rate_hz=RATE, position=position)
    assert 0 <= start <= position
    assert len(heard([one], part * 2).split()) - len(heard([one], start / RATE).split()) <= 1
