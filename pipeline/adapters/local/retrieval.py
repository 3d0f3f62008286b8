"""Which of the things an agent can talk about an utterance is about: BM25 to find, shared weight to be sure. Pure.

BM25 (``bm25s``) ranks; its scores have no scale that means "sure". So the best candidates are scored again by how much
of the utterance's weight (inverse document frequency) the example covers, and the other way round.
"""

import logging
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import bm25s
import numpy as np

from pipeline.adapters.local.words import Vocabulary, is_content, stem, tokens

T = TypeVar("T")

_CANDIDATES = 12
_WHOLE = 0.7


@dataclass(frozen=True, slots=True)
class Match(Generic[T]):
    """A target and how sure the match is: below 0.35 noise, above 0.6 sure."""

    target: T
    score: float


class Index(Generic[T]):
    """Example utterances of targets, searchable. ``extra`` are words that are known but say nothing."""

    def __init__(self, examples: Sequence[tuple[T, str]], extra: Sequence[str] = ()) -> None:
        self._targets = [target for target, _ in examples]
        words = [tokens(text) for _, text in examples]
        self.vocabulary = Vocabulary(word for document in [*words, tuple(extra)] for word in document)
        self._documents = [_stems(document) or ["_"] for document in words]
        counts = Counter(term for document in self._documents for term in set(document))
        total = len(self._documents)
        self._weights = {term: math.log(1 + total / count) for term, count in counts.items()}
        self._unknown = math.log(1 + total) * 0.8
        logging.getLogger("bm25s").setLevel(logging.WARNING)  # it sets its own level to DEBUG
        self._bm25 = bm25s.BM25()
        self._bm25.index(self._documents, show_progress=False)

    def search(self, words: Sequence[str]) -> tuple[Match[T], ...]:
        """Targets an utterance (mended tokens) may be about, best first, each once."""
        query = list(dict.fromkeys(_stems(words)))
        known = [term for term in query if term in self._weights]
        if not known:
            return ()
        scores = self._bm25.get_scores(known)
        best: dict[T, float] = {}
        for at in np.argsort(scores)[::-1][:_CANDIDATES]:
            if scores[at] > 0:
                target = self._targets[at]
                best[target] = max(best.get(target, 0.0), self._sureness(query, self._documents[at]))
        ranked = sorted(best.items(), key=lambda pair: -pair[1])
        return tuple(Match(target, score) for target, score in ranked)

    def _sureness(self, query: Sequence[str], document: Sequence[str]) -> float:
        have = set(document)
        shared = sum(self._weight(term) for term in query if term in have)
        asked = sum(self._weight(term) for term in query)
        said = sum(self._weight(term) for term in have)
        covered, met = shared / asked, shared / said
        if len(have) == 1:
            return covered  # one word says little beside others
        # A long utterance that holds the whole example is about it, whatever else it says.
        whole = _WHOLE if met > 0.99 and len(have) > 1 else 0.0
        return max(0.55 * covered + 0.45 * met, whole) if shared else 0.0

    def _weight(self, term: str) -> float:
        return self._weights.get(term, self._unknown)


def _stems(words: Sequence[str]) -> list[str]:
    return [stem(word) for word in words if is_content(word)]
