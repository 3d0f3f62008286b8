"""What an engine is given for a phrase, and where each written word stands in it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.adapters.spoken import spoken


@pytest.mark.parametrize(
    ("phrase", "said"),
    [
        ("Good morning, Anna!", "Good morning, Anna!"),
        ("£1,200 pcm", "one thousand two hundred pounds per calendar month"),
        ("€450,000.", "four hundred fifty thousand euros."),
        ("$3.50, £1, £0.50", "three dollars fifty, one pound, zero pounds fifty pence"),
        ("£1.2m or €2bn", "one point two million pounds or two billion euros"),
        ("£1,200/month", "one thousand two hundred pounds per month"),
        ("£1,200-£1,400", "one thousand two hundred pounds to one thousand four hundred pounds"),
        ("at 10:30 a.m. on Monday", "at ten thirty A M on Monday"),
        ("at 4 p.m.", "at 4 P M."),
        ("9am-5pm", "nine A M to five P M"),
        ("10:00 or 9:05pm", "ten o'clock or nine oh five P M"),
        ("2025-05-12", "May twelfth, twenty twenty five"),
        ("2025-13-12", "2025-13-12"),
        ("85 m² or 85m2", "85 square meters or eighty five square meters"),
        ("1,200 sq ft.", "one thousand two hundred square feet."),
        ("Call 020 7946 0958.", "Call oh two oh, seven nine four six, oh nine five eight."),
        ("Call (555) 123-4567 now", "Call five five five, one two three, four five six seven, now"),
        ("+442079460958", "plus four four two oh seven nine four six oh nine five eight,"),
        ("14 Elm St. is", "14 Elm street is"),
        ("in St. James Park", "in saint James Park"),
        ("No. 5, no.", "number 5, no."),
        ("King's Rd., e.g. here", "King's road, for example here"),
        ("anna.smith@example.com", "anna dot smith at example dot com"),
        ("https://www.example.co.uk/to-let/", "example dot co dot uk slash to dash let"),
        ("and/or pets/smoking", "and or pets or smoking"),
        ("Café “Zoë” – it’s ok…", "Cafe Zoe, it's ok,"),
        ("rent (all included) now", "rent, all included, now"),
        ("😀 hi", "hi"),
        ("Q&A & more", "Q&A and more"),
        ("open 24/7; 3.5% fee", "open twenty four seven; 3.5% fee"),
        ("3.14 and 1,000.5", "three point one four and one thousand point five"),
        ("Ms. Day and Prof. Lee", "miz Day and professor Lee"),
        ("you have pa and ms", "you have pa and ms"),
        ("25:99", "25:99"),
    ],
)
def test_said(phrase: str, said: str) -> None:
    assert spoken(phrase).text == said


def test_every_written_word_is_found_again() -> None:
    text = spoken("Rent — £1,200 pcm. Call 555-0123!")
    found = [
        text.written[index] for end in range(1, len(text.text) + 1) if (index := text.written_index(end)) is not None
    ]
    assert list(dict.fromkeys(found)) == ["Rent", "£1,200", "pcm.", "Call", "555-0123!"]
    assert text.written_index(0) is None


@given(st.one_of(st.text(max_size=200), st.text("0123456789£$€.,:-/()+ apm@St²—", max_size=80)))
def test_any_text_gives_plain_ascii_and_all_its_words(phrase: str) -> None:
    text = spoken(phrase)
    assert text.text.isascii()
    assert " ".join(text.text.split()) == text.text
    assert list(text.written) == phrase.split()
    assert list(text.starts) == sorted(text.starts)
    assert len(text.starts) == len(text.written)
    assert all(0 <= start <= len(text.text) + 1 for start in text.starts)
