"""What people say to show that they listen, and what only looks like it."""

import pytest

from pipeline.backchannel import is_backchannel

NOISES = """
mm-hmm
Mm-hmm.
mhm
Mmhmm
hmm
Mmm.
uh-huh
Uh huh.
uh
um
Yeah.
yeah yeah
Yes.
yep
Okay.
ok ok
Okay, great.
oh okay
Oh, I see.
I see.
All right.
alright
Right, right.
Got it.
Gotcha!
I understand.
Ah.
Aha!
Wow
Sure.
Cool, cool, cool.
...
"""

WORDS = """
No.
No no.
Oh no.
Well, no.
Wait.
Stop.
Okay, stop.
Yes, but
yes I want that
Yes, tomorrow at nine.
Okay okay okay okay
I
I want
You.
see you
What?
Hello?
42
right now
sure thing is
right away please
Да.
はい
nicely
okra
"""


@pytest.mark.parametrize("text", NOISES.strip().splitlines())
def test_listening(text: str) -> None:
    assert is_backchannel(text)


@pytest.mark.parametrize("text", WORDS.strip().splitlines())
def test_meant(text: str) -> None:
    assert not is_backchannel(text)


def test_nothing_is_not_meant() -> None:
    assert is_backchannel("")
