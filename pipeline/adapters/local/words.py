"""What a recogniser wrote, as words one can compare. Pure.

Recognised text has no reliable case or punctuation and comes with small errors, so everything here works on lower-case
tokens, and unknown words are drawn to the nearest known one (same sound, or nearly the same letters).
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from difflib import SequenceMatcher
from functools import lru_cache

import Stemmer


def listed(text: str) -> tuple[str, ...]:
    """The words of ``text``: a list of words that stays readable in the source."""
    return tuple(text.split())


_TOKEN = re.compile(r"\d+(?::\d\d)?(?:[.,]\d{3})*(?:\.\d+)?(?:st|nd|rd|th|k|am|pm)?|[a-z]+(?:'[a-z]+)?")
_CONTRACTIONS = (
    (re.compile(r"\b([ap])\.?\s?m\b\.?"), r"\1m"),
    (re.compile(r"\b(ca)n't\b|\bcannot\b"), "can not"),
    (re.compile(r"\bwon't\b"), "will not"),
    (re.compile(r"n't\b"), " not"),
    (re.compile(r"\bi'm\b"), "i am"),
    (re.compile(r"'(re|ve|ll|d)\b"), r" \1"),
    (re.compile(r"\b(that|it|what|where|who|there|he|she|how|when|name|here)'?s\b(?! own)"), r"\1 is"),
    (re.compile(r"'s\b"), ""),
)
_FILLERS = frozenset(listed("um uh er erm hmm mm ah eh"))
_STOP = frozenset(
    listed(
        "a an the of to in on at for from by with and or but so as is are was were be been am do does did i "
        "you we they he she it me my your our their this that these those there here will would can could "
        "should may might shall not no yes please just well like have has had if then than about into any "
        "some got get gonna want wanna need know tell let ve re ll d s t could also too very really actually "
        "okay ok oh hello hi hey thanks thank what which how today tomorrow monday tuesday wednesday thursday "
        "friday saturday sunday one two three four five six seven eight nine ten hundred thousand good think "
        "mean guess"
    )
)
_CODES = str.maketrans("bfpvcgjkqsxzdtlmnr", "111122222222334556")

_stemmer = Stemmer.Stemmer("english")


@lru_cache(maxsize=4096)
def clean(text: str) -> str:
    """Lower case, contractions opened, apostrophes straight."""
    text = text.lower().replace("’", "'")
    for pattern, replacement in _CONTRACTIONS:
        text = pattern.sub(replacement, text)
    return text


@lru_cache(maxsize=8192)
def tokens(text: str) -> tuple[str, ...]:
    """Words and numbers of ``text`` in order, lower case, without fillers such as "um"."""
    return tuple(word for word in _TOKEN.findall(clean(text)) if word not in _FILLERS)


_LEAD = re.compile(
    r"^((oh|so|well|okay|ok|and|um|uh|yeah|yes|right|actually|great|hmm|alright|sorry|please|hello|hi|hey|hiya|there"
    r"|good (morning|afternoon|evening|day)|one more thing|quick question|just a (quick )?question|by the way"
    r"|i was wondering( if| whether)?|i wanted to (ask|know)( you)?( about| if| whether)?"
    r"|(can|could) you tell me( about)?|do you know|i have a question( about)?)\b[ ,.!]*)+"
)


def core(text: str) -> str:
    """The words without the greeting and the hesitation they begin with; empty if there is nothing else."""
    return _LEAD.sub("", clean(text)).strip(" .,!?")


def is_content(word: str) -> bool:
    """Whether a word says something by itself."""
    return word not in _STOP


@lru_cache(maxsize=8192)
def stem(word: str) -> str:
    """English Snowball stem."""
    return str(_stemmer.stemWord(word))


@lru_cache(maxsize=8192)
def sound(word: str) -> str:
    """A rough key of how a word sounds: Soundex classes of its consonants, the first letter among them."""
    letters = word.replace("ph", "f").replace("gh", "").replace("kn", "n").replace("wr", "r").replace("ck", "k")
    codes = letters.translate(_CODES)
    kept = [code for code, before in zip(codes, f" {codes}", strict=False) if code.isdigit() and code != before]
    return "".join(kept)


@lru_cache(maxsize=16384)
def alike(a: str, b: str) -> float:
    """How alike two words or phrases are, 0 to 1."""
    return SequenceMatcher(None, a, b, autojunk=False).ratio()


class Vocabulary:
    """Known words, and the nearest of them to an unknown one."""

    def __init__(self, words: Iterable[str]) -> None:
        self._known = frozenset(words)
        self._by_pair: dict[str, set[str]] = defaultdict(set)
        for word in self._known:
            if len(word) > 3 and word.isalpha():
                for pair in _pairs(word):
                    self._by_pair[pair].add(word)
        self._cache: dict[str, str] = {}

    def __contains__(self, word: str) -> bool:
        return word in self._known

    def nearest(self, word: str) -> str:
        """``word`` itself if known or if nothing is near enough, else the nearest known word."""
        if word in self._known or len(word) < 4 or not word.isalpha():
            return word
        if word not in self._cache:
            if len(self._cache) > 10_000:
                self._cache.clear()
            self._cache[word] = self._search(word)
        return self._cache[word]

    def mended(self, words: tuple[str, ...]) -> tuple[str, ...]:
        """``words`` with unknown ones replaced; two neighbours that make one known word together are joined."""
        out: list[str] = []
        skip = False
        for word, after in zip(words, (*words[1:], ""), strict=False):
            if skip:
                skip = False
            elif after and len(word + after) > 5 and word + after in self._known:
                out.append(word + after)
                skip = True
            else:
                out.append(self.nearest(word))
        return tuple(out)

    def _search(self, word: str) -> str:
        votes: dict[str, int] = defaultdict(int)
        for pair in _pairs(word):
            for candidate in self._by_pair.get(pair, ()):
                votes[candidate] += 1
        best, best_score = word, 0.0
        for candidate, shared in votes.items():
            if shared * 2 < len(word) - 2 or abs(len(candidate) - len(word)) > 2:
                continue
            score = alike(word, candidate) + (0.12 if sound(candidate) == sound(word) else 0.0)
            if score > best_score:
                best, best_score = candidate, score
        return best if best_score >= (0.87 if len(word) > 4 else 0.95) else word


def _pairs(word: str) -> set[str]:
    padded = f"^{word}$"
    return {padded[i : i + 2] for i in range(len(padded) - 1)}
