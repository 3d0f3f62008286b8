"""Phrases out of a streamed reply."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.chunking import FIRST_CHARS, LONGEST_CHARS, PHRASE_CHARS, PhraseChunker
from pipeline.markup import spoken_words


def phrases_of(text: str) -> list[str]:
    chunker = PhraseChunker()
    return [*chunker.push(text), *chunker.flush()]


def plain(text: str) -> str:
    """What of ``text`` is said, without any whitespace."""
    return "".join("".join(spoken_words(line)) for line in text.replace("\r", "\n").split("\n"))


@pytest.mark.parametrize(
    ("text", "phrases"),
    [
        pytest.param("", [], id="nothing"),
        pytest.param("Hello.", ["Hello."], id="one word"),
        pytest.param("Sure. I can help! Can you wait? ", ["Sure.", "I can help!", "Can you wait?"], id="sentences"),
        pytest.param(
            "Thank you for calling, my name is Anna. How may I help, sir, today?",
            ["Thank you for calling,", "my name is Anna.", "How may I help, sir, today?"],
            id="only the first phrase ends at a comma",
        ),
        pytest.param("Well, yes.", ["Well, yes."], id="a comma after one word is too early"),
        pytest.param(
            "We have two nice flats available and one house today.",
            ["We have two nice flats available", "and one house today."],
            id="the first phrase ends before a linking word",
        ),
        pytest.param("Flats and houses.", ["Flats and houses."], id="a linking word too early"),
        pytest.param("It has bedrooms number 1 2 and 3.", ["It has bedrooms number 1 2 and 3."], id="numbers cling"),
        pytest.param("It is 3.5 km. Ok.", ["It is 3.5 km.", "Ok."], id="decimal"),
        pytest.param("Rent is £1,200. Ok?", ["Rent is £1,200.", "Ok?"], id="thousands"),
        pytest.param("Come at 10:30. Bye.", ["Come at 10:30.", "Bye."], id="clock"),
        pytest.param("Dr. Lee. Mrs. Day.", ["Dr. Lee.", "Mrs. Day."], id="titles"),
        pytest.param("See J. R. Hartley, e.g. Ok.", ["See J. R. Hartley,", "e.g. Ok."], id="initials"),
        pytest.param("So am I. Good.", ["So am I.", "Good."], id="I is a word"),
        pytest.param("No. 5 is free. No. It is not.", ["No. 5 is free.", "No.", "It is not."], id="no and number"),
        pytest.param("In St. James Park. Ok.", ["In St. James Park.", "Ok."], id="saint"),
        pytest.param("It is in Elm St. The door is red.", ["It is in Elm St.", "The door is red."], id="street"),
        pytest.param("Come at 5 p.m. on Monday.", ["Come at 5 p.m. on Monday."], id="abbreviation goes on"),
        pytest.param("Come at 5 p.m. We wait.", ["Come at 5 p.m.", "We wait."], id="abbreviation ends a sentence"),
        pytest.param("In the U.S. we do.", ["In the U.S. we do."], id="dotted initials"),
        pytest.param(
            "Go to www.a.co.uk. Or to x@y.com. Bye.", ["Go to www.a.co.uk.", "Or to x@y.com.", "Bye."], id="url"
        ),
        pytest.param("Hm... well… Yes… no.", ["Hm... well…", "Yes… no."], id="dots"),
        pytest.param('He said "Come in." Then left.', ['He said "Come in."', "Then left."], id="quotes"),
        pytest.param("1. One flat.\n2. Two flats.", ["1. One flat.", "2. Two flats."], id="numbered list"),
        pytest.param("We sold 12. Two left.", ["We sold 12.", "Two left."], id="number ends a sentence"),
        pytest.param(
            "# Flats\n\n- **Big** one\n* `small` one\n---\n", ["Flats", "Big one", "small one"], id="markdown"
        ),
        pytest.param("See [our list](https://a.b/c) 😀 now 🏠.", ["See our list now ."], id="link and emoji"),
        pytest.param("It is - I think - 3*4 m.", ["It is -", "I think - 3*4 m."], id="a dash in a line stays"),
        pytest.param("你好。再见！", ["你好。", "再见！"], id="no spaces between sentences"),
        pytest.param(
            "Call us on 020 7946 0958 or come to the office near the old station.",
            ["Call us on 020 7946 0958 or come to the office near the old", "station."],
            id="forced within the limit",
        ),
        pytest.param(
            "Call our kind colleagues in the next office on 020 7946 0958 today",
            ["Call our kind colleagues in the next office", "on 020 7946 0958 today"],
            id="forced, not after a clinging word nor in a number",
        ),
        pytest.param(
            "Thank you for the question about the lovely house at number 12 in town",
            ["Thank you for the question about the lovely house", "at number 12 in town"],
            id="a number stays with the word before it",
        ),
        pytest.param(
            "Yes. The flat has a kitchen, a bath, a hall and a balcony that looks over the park where the children of "
            "the whole street play, and you will like the quiet garden behind the house that belongs to those below us",
            [
                "Yes.",
                "The flat has a kitchen, a bath, a hall and a balcony that looks over the park where the children of "
                "the whole street play,",
                "and you will like the quiet garden behind the house that belongs to those below us",
            ],
            id="forced at a clause in the second half",
        ),
    ],
)
def test_phrases(text: str, phrases: list[str]) -> None:
    assert phrases_of(text) == phrases


def test_a_phrase_comes_with_the_space_after_it() -> None:
    chunker = PhraseChunker()
    assert chunker.push("Good morning.") == []
    assert chunker.push(" ") == ["Good morning."]


def test_only_numbers_are_cut_in_the_end() -> None:
    phrases = phrases_of("7 " * 400)
    assert len(phrases) > 1
    assert max(map(len, phrases)) <= LONGEST_CHARS


def test_an_endless_word_is_cut() -> None:
    assert [len(phrase) for phrase in phrases_of("x" * 700)] == [LONGEST_CHARS, LONGEST_CHARS, 700 - 2 * LONGEST_CHARS]


def test_after_flush_the_first_phrase_is_short_again() -> None:
    chunker = PhraseChunker()
    chunker.push("Yes. ")
    chunker.push("One two three, four")
    assert chunker.flush() == ["One two three, four"]
    assert chunker.push("One two three, four") == ["One two three,"]


_words = st.sampled_from(
    "Hello the flat, is at 3.5 km. Dr. Lee No. 5 and £1,200 10:30 p.m. St. www.a.co.uk x@y.com... Yes! so why? - "  # noqa: SIM905
    "**big** # * 1. [a](b) 😀 020 7946 0958 I J. “Ok.” … … 。 — ``` _it_ | (no)".split()
)
_texts = st.one_of(
    st.text(max_size=400),
    st.lists(st.tuples(_words, st.sampled_from([" ", " ", " ", "  ", "\n", "\r\n", ""])), max_size=120).map(
        lambda pairs: "".join(word + space for word, space in pairs)
    ),
)


@given(_texts)
def test_phrases_joined_are_the_text(text: str) -> None:
    assert "".join("".join(phrases_of(text)).split()) == plain(text)


@given(_texts, st.lists(st.integers(1, 40), min_size=1))
def test_chopping_changes_nothing(text: str, sizes: list[int]) -> None:
    chunker = PhraseChunker()
    phrases: list[str] = []
    start, step = 0, 0
    while start < len(text):
        size = sizes[step % len(sizes)]
        phrases += chunker.push(text[start : start + size])
        start, step = start + size, step + 1
    assert [*phrases, *chunker.flush()] == phrases_of(text)


@given(_texts)
def test_bounds(text: str) -> None:
    phrases = phrases_of(text)
    assert all(phrase.strip() == phrase != "" for phrase in phrases)
    assert all(len(phrase) <= LONGEST_CHARS for phrase in phrases)


@given(st.lists(st.sampled_from(["these", "words", "have", "no", "marks", "yet", "go", "on"]), min_size=60))
def test_limits_hold_for_plain_words(words: list[str]) -> None:
    first, *later = phrases_of(" ".join(words))
    assert len(first) <= FIRST_CHARS
    assert all(len(phrase) <= PHRASE_CHARS for phrase in later)


@given(
    st.lists(
        st.sampled_from(
            ["3.5", "1,200", "10:30", "x.y@example.com", "https://a.co/b?c=1.5", "Dr. Lee", "No. 5", "flat"]
        )
    )
)
def test_never_inside_what_belongs_together(parts: list[str]) -> None:
    phrases = phrases_of(" ".join(parts))
    words = [word for phrase in phrases for word in phrase.split()]
    assert words == " ".join(parts).split()
    assert not any(phrase.endswith(("Dr.", "No.")) for phrase in phrases[:-1])


def test_a_first_phrase_that_may_be_as_long_as_the_others_is_a_whole_sentence() -> None:
    chunker = PhraseChunker(first_chars=200, phrase_chars=200)
    text = "Sorry, I heard something else, so could you say that again, please? Thank you."
    first = "Sorry, I heard something else, so could you say that again, please?"
    assert chunker.push(text) + chunker.flush() == [first, "Thank you."]
    assert chunker.push(text)[0] == first
