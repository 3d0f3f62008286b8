"""How long to wait after these words: as people speak them, with and without an engine's own opinion."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.endpointing import EndpointingConfig, delay_s
from pipeline.ports import Transcription

CONFIG = EndpointingConfig()

FINISHED = """
Are you sure that you can?
Yes, I do.
Yes, it is.
I would if I could.
They really are.
Could you tell me what you can help me with?
Can you tell me about the homes that you have?
What do I need?
What else?
I see.
Please.
I don't smoke.
It is near the station.
Give me a call.
My number is 555-1234.
A table for two.
I'd like to book a table.
What time do you open?
What time is it?
Which one is it?
No, thanks.
Thank you very much.
Yes, please.
My name is Anna Schmidt.
Tomorrow at noon.
Cancel my order.
That's right.
Okay, bye!
Can you help me?
Is this for real?
I live in Berlin.
It doesn't work.
Could you repeat it?
"""

UNSURE = """
What were you?
Where are you?
Why not?
I can't hear.
My number is 5 5 5.
Four two four.
Do you have any more?
I would like that one, or another.
I don't know.
And what is that for?
Where have you been?
How much would it be?
What is it about?
Who is it for?
Where are you from?
I think so.
I like that.
I'd rather not.
Not really.
I don't know why.
My number is 5 5 5
Double seven three.
book a table
yes please
my name is Anna
tomorrow
Me too
I know her.
That.
"""

UNFINISHED = """
I want to book
Can you tell me?
Could you give me
I would like
I need.
Could you
What time
My name
Where can you
She
I think we
Is it near
I would like to
I would like to.
My name is
My name is.
I want a table for
I want a table for.
Can I have the
Can I have a?
I'm calling because
I'm calling because.
And then I said,
The address is:
Well...
So I was thinking…
It was -
I need to talk to my
I'd like to know if
If you
If you could.... and
Um
Uh, um.
Hello, I'm
I think it's
We'll
The doctor is Dr.
Please send it to Mrs.
I'm looking for something between
There was a
Could you tell me the
I will be
This order was
The parcel has
Let's
Is it in a
""".replace("If you\n", "If you're\n")

LISTS = [(FINISHED, CONFIG.finished_s), (UNSURE, CONFIG.unsure_s), (UNFINISHED, CONFIG.unfinished_s)]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [pytest.param(text, wanted, id=text) for texts, wanted in LISTS for text in texts.strip().splitlines()],
)
def test_words_alone(text: str, wanted: Any) -> None:
    assert delay_s(Transcription(text), CONFIG) == wanted


@pytest.mark.parametrize(
    ("text", "probability", "wanted"),
    [
        ("I'd like to book a table.", 1.0, CONFIG.finished_s),
        ("I'd like to book a table.", 0.97, CONFIG.finished_s),
        ("I'd like to book a table.", 0.885, (CONFIG.finished_s + CONFIG.unsure_s) / 2),
        ("I'd like to book a table.", 0.8, CONFIG.unsure_s),
        ("I'd like to book a table.", 0.65, (CONFIG.unsure_s + CONFIG.unfinished_s) / 2),
        ("I'd like to book a table.", 0.5, CONFIG.unfinished_s),
        ("I'd like to book a table.", 0.0, CONFIG.unfinished_s),
        ("book a table", 0.99, CONFIG.finished_s),
        ("I like that.", 0.99, CONFIG.unsure_s),
        ("I would like to", 0.99, CONFIG.unfinished_s),
        ("And then,", 0.99, CONFIG.unfinished_s),
    ],
)
def test_with_the_engines_opinion(text: str, probability: float | None, wanted: Any) -> None:
    assert delay_s(Transcription(text, end_probability=probability), CONFIG) == pytest.approx(wanted)


def test_nothing_but_white_space_is_not_finished() -> None:
    assert delay_s(Transcription("  "), CONFIG) == CONFIG.unsure_s


def test_other_languages_go_by_punctuation() -> None:
    assert delay_s(Transcription("Ich möchte einen Tisch."), CONFIG) == CONFIG.finished_s
    assert delay_s(Transcription("予約したいです"), CONFIG) == CONFIG.unsure_s


def test_a_curly_apostrophe_is_an_apostrophe() -> None:
    assert delay_s(Transcription("Hello, I’m"), CONFIG) == CONFIG.unfinished_s


@given(st.text(max_size=60), st.none() | st.floats(0, 1))
def test_any_text_has_a_delay_within_the_bounds(text: str, probability: float | None) -> None:
    delay = delay_s(Transcription(text, end_probability=probability), CONFIG)
    assert CONFIG.finished_s <= delay <= CONFIG.unfinished_s


@given(st.text(max_size=60), st.floats(0, 1), st.floats(0, 1))
def test_the_surer_the_engine_the_sooner(text: str, one: float, other: float) -> None:
    low, high = sorted((one, other))
    later, sooner = (delay_s(Transcription(text, end_probability=each), CONFIG) for each in (low, high))
    assert sooner <= later
