"""What of a reply was generated, sent, heard and cut, word by word. PURE.

A reply is a row of phrases; a phrase has a text and, as it is synthesised, a growing span of samples. A word's place in
the audio comes from the provider's times where it gives them, otherwise from the word's position in the phrase's audio
by its length in letters. All positions are samples at the output rate from the reply's first sample.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from pipeline.ports import WordTime

WordState: TypeAlias = Literal["generated", "sent", "heard", "cut"]

_LETTERS_PER_S = 15
"""Speaking rate that is assumed while a phrase's audio is incomplete: 180 words a minute of five letters."""


@dataclass(frozen=True, slots=True)
class SpokenWord:
    text: str
    state: WordState


@dataclass(frozen=True, slots=True)
class Ledger:
    """A reply's account at one moment."""

    words: tuple[SpokenWord, ...]

    @property
    def generated(self) -> str:
        return " ".join(word.text for word in self.words)

    @property
    def heard(self) -> str:
        return " ".join(word.text for word in self.words if word.state == "heard")

    @property
    def cut(self) -> str:
        """Everything generated that was not heard."""
        return " ".join(word.text for word in self.words if word.state != "heard")


@dataclass(slots=True)
class Phrase:
    """One phrase of a reply and where its audio lies."""

    text: str
    start: int
    """First sample."""
    samples: int = 0
    complete: bool = False
    times: list[WordTime] = field(default_factory=list)
    _placed: tuple[tuple[str, int], ...] = field(default=(), init=False, repr=False, compare=False)
    """The words of a phrase that is complete: they are asked for every half second."""

    @property
    def end(self) -> int:
        return self.start + self.samples

    def middles(self, rate_hz: int) -> Iterable[tuple[str, int]]:
        """Each word with the sample at its middle: when that is out, the word counts as out.

        In a complete phrase every word has its place before the end, whatever the provider's times say. Such a phrase
        does not change any more.
        """
        if not self.complete:
            return self._place(rate_hz)
        if not self._placed:
            self._placed = tuple(self._place(rate_hz))
        return self._placed

    def _place(self, rate_hz: int) -> Iterator[tuple[str, int]]:
        words = self.text.split()
        times = self.times if len(self.times) <= len(words) else []
        offsets = [round((time.start_s + time.end_s) / 2 * rate_hz) for time in times]
        offsets += self._spread(words[len(times) :], round(times[-1].end_s * rate_hz) if times else 0, rate_hz)
        for word, offset in zip(words, offsets, strict=True):
            yield word, self.start + (min(offset, max(0, self.samples - 1)) if self.complete else offset)

    def _spread(self, words: list[str], timed: int, rate_hz: int) -> Iterator[int]:
        """Words without times share the phrase's audio after ``timed`` by their length."""
        letters = sum(len(word) + 1 for word in words)
        span = max(0, self.samples - timed)
        if not self.complete:
            span = max(span, letters * rate_hz // _LETTERS_PER_S)
        before = 0.0
        for word in words:
            yield timed + int((before + len(word) / 2) / letters * span)
            before += len(word) + 1


def account(phrases: Sequence[Phrase], *, rate_hz: int, sent: int, heard: int, closed: bool, known: int = 0) -> Ledger:
    """The account of ``phrases`` when ``sent`` samples have left and ``heard`` of them were audible.

    ``closed`` says that nothing more will be played: what was not heard is cut. The first ``known`` words were reported
    as heard before and stay so, although a later and better estimate may place them further on.
    """
    placed = [word for phrase in phrases for word in phrase.middles(rate_hz)]
    return Ledger(
        tuple(
            SpokenWord(text, "heard" if index < known else _state(middle, sent, heard, closed))
            for index, (text, middle) in enumerate(placed)
        )
    )


def heard_words(phrases: Sequence[Phrase], *, rate_hz: int, heard: int, known: int) -> list[str]:
    """The words that :func:`account` calls heard, without the rest of the account."""
    placed = (word for phrase in phrases for word in phrase.middles(rate_hz))
    return [text for index, (text, middle) in enumerate(placed) if index < known or middle < heard]


def _state(middle: int, sent: int, heard: int, closed: bool) -> WordState:
    if middle < heard:
        return "heard"
    if closed:
        return "cut"
    return "sent" if middle < sent else "generated"


def word_start(phrases: Sequence[Phrase], *, rate_hz: int, position: int) -> int:
    """Where the word that is audible at ``position`` begins, so that an interrupted reply can resume at its start.

    Behind a complete phrase no word is audible: that is ``position`` itself.
    """
    start = 0
    for phrase in phrases:
        if phrase.start > position:
            break
        if phrase.complete and phrase.end <= position:
            start = phrase.end
            continue
        start = phrase.start
        previous_middle = phrase.start
        for index, (_, middle) in enumerate(phrase.middles(rate_hz)):
            border = phrase.start if index == 0 else (previous_middle + middle) // 2
            if border > position:
                break
            start = border
            previous_middle = middle
    return start
