"""Cuts an agent's text, as it streams in, into phrases for speech.

The first phrase is short, because the caller waits for it; later ones are sentences, because an engine speaks a whole
sentence best. The decision to cut depends on the text so far and on nothing else: characters are looked at one by
one, so the way deltas are chopped cannot change the phrases. A phrase ends only between two words, hence never inside
a number, a clock time, a web or e-mail address; and never after an abbreviation or between the groups of a number.
"""

import re
from dataclasses import dataclass

from pipeline.markup import spoken_words

FIRST_CHARS = 60
"""The first phrase ends at the latest at the last good word border before this: about 4 s of speech."""
PHRASE_CHARS = 200
"""The same for later phrases; speech engines take about 300."""
LONGEST_CHARS = 300
"""Text without a good border is cut at a bad one here, and a single word this long is cut anywhere."""

_CLAUSE_WORDS = 3
"""A comma ends the first phrase after this many words; fewer would be over before the next phrase is ready."""
_LINK_WORDS = 5
"""Words before a linking word that may begin the second phrase."""

_CLOSERS = "\"'”’)]}*_`"
_ENDS = "!?…"
_WIDE_ENDS = "。！？"
_TITLES = frozenset("dr mr mrs ms messrs prof rev hon gen col capt lt sgt gov sen rep mt e.g i.e cf viz approx".split())  # noqa: SIM905
_BEFORE_DIGITS = frozenset("no nos fig art ext tel pp p vol ch sec".split())  # noqa: SIM905
_MAY_END = frozenset(
    "a.m p.m etc inc ltd co corp jr sr rd ave blvd sq apt vs ph.d jan feb mar apr jun jul aug sep sept oct nov dec mon "  # noqa: SIM905
    "tue wed thu fri sat sun min hr hrs".split()
)
_LINKING = frozenset("and but or so because which who while when if then although unless until".split())  # noqa: SIM905
_CLINGING = frozenset(
    "a an the of to in at on for from by with and or but is are was your my our their his her its this that no".split()  # noqa: SIM905
)
_INITIALS = re.compile(r"(?:[A-Za-z]\.)+[A-Za-z]")
_WORD = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class _Border:
    """A place between two words of the running phrase."""

    word: str
    """The word before it, closing quotes and brackets taken off."""
    before: str
    """The word before that one, or nothing."""
    after: str
    """What is known of the word behind it: its first character at least; nothing if it has not begun."""
    position: int
    """Where the word before it ends in the phrase."""
    count: int
    """Words before it."""


class PhraseChunker:
    """One reply's text in, phrases out. Start anew with each reply, or go on after :meth:`flush`."""

    def __init__(self, *, first_chars: int = FIRST_CHARS, phrase_chars: int = PHRASE_CHARS) -> None:
        self._first_chars = first_chars
        self._phrase_chars = phrase_chars
        self._text = ""
        self._opens_line = True
        self._first = first_chars < phrase_chars

    def push(self, delta: str) -> list[str]:
        """Take the next piece of text, cut anywhere; give the phrases that it completed."""
        phrases: list[str] = []
        for character in delta:
            phrases.extend(self._step(character))
        return phrases

    def flush(self) -> list[str]:
        """The text is over: give what is left. The next push begins a new text."""
        phrases = self._emit(len(self._text))
        self._opens_line = True
        self._first = self._first_chars < self._phrase_chars
        return phrases

    def _step(self, character: str) -> list[str]:
        if character in "\n\r":
            phrases = self._emit(len(self._text))
            self._opens_line = True
            return phrases
        runs = not character.isspace()
        begins = runs and self._text[-1:].isspace()
        self._text += character
        if character in _WIDE_ENDS:
            return self._emit(len(self._text))
        if not runs or begins or len(self._text) > self._limit():
            position = self._cut(runs)
            return self._emit(position) if position else []
        return []

    def _emit(self, position: int) -> list[str]:
        """Take the phrase up to ``position`` off the text."""
        words = spoken_words(self._text[:position], opens_line=self._opens_line)
        self._opens_line = self._opens_line and not words
        self._text = self._text[position:].lstrip()
        if not words:
            return []
        self._first = False
        return [" ".join(words)]

    def _limit(self) -> int:
        return self._first_chars if self._first else self._phrase_chars

    def _cut(self, runs: bool) -> int:
        """Where to end the phrase, now that a word has ended or another ``runs``; 0: nowhere yet."""
        borders = _borders(self._text, runs)
        if not borders:
            return len(self._text) if len(self._text) >= LONGEST_CHARS else 0
        last = borders[-1]
        if self._ends_sentence(last):
            return last.position
        if not runs:
            return 0
        if self._first:
            position = _first_clause(borders)
            if position:
                return position
        limit = self._limit()
        return _forced(borders, limit, len(self._text)) if len(self._text) > limit else 0

    def _ends_sentence(self, border: _Border) -> bool:
        word = border.word
        if not word or word[-1] not in "." + _ENDS:
            return False
        if word[-1] in "!?":
            return True
        if word.endswith(("…", "..")):
            return border.after[:1].isupper()
        core = word[:-1].lstrip("(\"'“‘[*_")
        if self._opens_line and border.count == 1 and core.isdigit():
            return False  # the number of a list's item
        return _full_stop(core, border)


def _full_stop(core: str, border: _Border) -> bool:
    """Whether the point after ``core`` ends a sentence, and does not belong to an abbreviation."""
    low, after = core.lower(), border.after[:1]
    if low in _TITLES or (len(core) == 1 and core.isalpha() and core != "I"):
        return False
    if low in _BEFORE_DIGITS:
        return bool(after) and not after.isdigit()
    if low == "st":
        return after.isupper() and border.before[:1].isupper() and border.count > 2  # the phrase's first is capital
    if low in _MAY_END or _INITIALS.fullmatch(core):
        return after.isupper()
    return True


def _borders(text: str, runs: bool) -> list[_Border]:
    """All borders of the text, in order; where a word ``runs`` the last one is before it."""
    words = [(match[0], match.end()) for match in _WORD.finditer(text)]
    spaced = [*(word for word, _ in words), ""]
    ended = len(words) - 1 if runs else len(words)
    return [
        _Border(words[i][0].rstrip(_CLOSERS), spaced[i - 1] if i else "", spaced[i + 1], words[i][1], i + 1)
        for i in range(ended)
    ]


def _first_clause(borders: list[_Border]) -> int:
    """A place where the first phrase may well end, or 0."""
    last = borders[-1]
    clause = last.word[-1:] in (",", ";", ":", "—", "–") or last.word == "-"
    if clause and last.count >= _CLAUSE_WORDS and not last.after[:1].isdigit():
        return last.position
    if last.word in _LINKING and last.count > _LINK_WORDS and _may_part(borders[-2]):
        return borders[-2].position
    return 0


def _forced(borders: list[_Border], limit: int, length: int) -> int:
    """The best place before ``limit``: a clause's end in its second half, else the last word that may part."""
    within = [border for border in borders if border.position <= limit and _may_part(border)]
    clauses = [b.position for b in within if b.word[-1:] in (",", ";", ":", "—", "–") and b.position > limit // 2]
    loose = [b.position for b in within if b.word.lower() not in _CLINGING]
    desperate = [b.position for b in borders if length > LONGEST_CHARS >= b.position]
    return (clauses or loose or desperate or [0])[-1]


def _may_part(border: _Border) -> bool:
    """Whether the two words may stand in different phrases: not within a number, nor after an abbreviation."""
    if border.word[-1:] == "." or border.after[:1].isdigit():
        return False
    return not border.word[-1:].isdigit()
