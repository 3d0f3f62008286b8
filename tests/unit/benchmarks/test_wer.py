"""Counting word errors of calls."""

import numpy as np

from benchmarks.corpus import Clip
from benchmarks.wer import Total, scored, total

SPEECH = Clip("a", np.zeros(1, np.int16), "go forward ten meters")
NOISE = Clip("n", np.zeros(1, np.int16))


def test_case_punctuation_and_numbers_are_no_errors() -> None:
    result = scored(SPEECH, "pcm16", ["Go forward, 10 meters!"], 1)
    assert (result.errors, result.words, result.turns) == (0, 4, 1)


def test_every_kind_of_error_counts_and_turns_are_joined() -> None:
    result = scored(SPEECH, "pcm16", ["Go", "forwards ten meters now."], 2)
    assert (result.errors, result.turns) == (2, 2)
    assert scored(SPEECH, "pcm16", [], 0).errors == 4


def test_the_total_weighs_by_words_and_keeps_noise_apart() -> None:
    results = [
        scored(SPEECH, "pcmu", ["go forward ten"], 1),
        scored(SPEECH, "pcmu", ["go forward ten meters"], 1),
        scored(NOISE, "pcmu", ["you"], 1),
        scored(SPEECH, "pcm16", [], 0),
    ]
    assert total(results, "pcmu") == Total("pcmu", 12.5, 8, 1, 1)
    assert total(results, "opus") == Total("opus", None, 0, 0, 0)
