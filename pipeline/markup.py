"""Takes written-only marks out of text that will be spoken: markdown, emoji. No I/O.

Every rule looks at one word and at whether it opens a line, never further, so that text may be cut between any two
words before or after.
"""

import re

_EMOJI = re.compile("[\U0001f000-\U0001faff\u2600-\u27bf\u2b00-\u2bff\ufe0e\ufe0f\u200d\u20e3\U000e0020-\U000e007f]")
_LINK = re.compile(r"\]\(\S*\)")
_STARS = re.compile(r"(?<!\d)\*+|\*+(?!\d)")
_MARKS = re.compile(r"[`\[\]|]|~~|^_+|_+$")
_LINE_MARK = re.compile(r"[-*+•]|#+|>+|[-*_=]{3,}|```\S*")


def spoken_words(text: str, *, opens_line: bool = True) -> list[str]:
    """The words of one line as they are said. Empty if there is nothing to say.

    ``opens_line`` is False where the text goes on in a line begun earlier: a dash there is a dash and not a bullet.
    """
    words: list[str] = []
    for word in text.split():
        said = _clean(word)
        if said and (words or not opens_line or not _LINE_MARK.fullmatch(word)):
            words.append(said)
    return words


def _clean(word: str) -> str:
    return _MARKS.sub("", _STARS.sub("", _LINK.sub("", _EMOJI.sub("", word))))
