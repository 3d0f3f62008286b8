"""Which words do not take the floor. PURE."""

import re

_NOISE = (
    r"(?:a+h+|aha|al(?:l )?right|cool|good|got it|gotcha|great|h+m+|huh|i see|i understand|m+h*m*|nice|oh|ok|okay|right"
    r"|sure|u+h+(?:huh)?|u+m+|understood|wow|yeah|yep|yes|yup)"
)
_NOISES = re.compile(rf"{_NOISE}(?: {_NOISE}){{0,2}}")
_WORD = re.compile(r"[\w']+")


def is_backchannel(text: str) -> bool:
    """True for "mm-hmm", "okay", "I see", "yeah, right": at most three listening noises, or no word at all.

    "No" is none of them: it objects.
    """
    said = text.lower().replace("-", "").replace("’", "'")
    words = _WORD.findall(said)
    return not words or _NOISES.fullmatch(" ".join(words)) is not None
