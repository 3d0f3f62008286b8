"""Which words of a phrase were in the audio that was received, by comparing it with the same phrase spoken whole. PURE.

The embedded voice speaks a phrase with the same timing every time; only the noise in its excitation differs. So the
place where the received audio ends in the whole is where its last stretch correlates best.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from pipeline.ports import WordTime
from voicegate.kernel.audio import Samples, frame_samples

_Float: TypeAlias = npt.NDArray[np.float64]

_TAIL_S = 0.4
"""Stretch to look for: a word or two."""
_SEARCH_S = 1.0
"""How far from its expected place: phrases that came late leave gaps of silence in what was received."""
_LEAST_CORRELATION = 0.8
"""Measured: 0.99 between two renderings at the right place."""


@dataclass(frozen=True, slots=True)
class WholeReply:
    """A reply as it would have been heard to its end."""

    samples: Samples
    middles: tuple[int, ...]
    """The sample in the middle of each word: a word counts as heard when that is out."""
    words: tuple[str, ...]

    def heard_words(self, position: int) -> int:
        """Words whose middle is before ``position``."""
        return sum(middle <= position for middle in self.middles)


def middles(times: Sequence[WordTime], start: int, rate_hz: int) -> list[int]:
    """The middle of each word, in samples, of a phrase that begins at sample ``start``."""
    return [start + round((time.start_s + time.end_s) / 2 * rate_hz) for time in times]


def end_in_whole(received: Samples, whole: Samples, rate_hz: int) -> int | None:
    """One past the sample of ``whole`` with which ``received`` ends; None if it is not from there.

    A last frame that was faded out (its end is digital silence) is left out: it only avoids a click.
    """
    frame = frame_samples(rate_hz)
    if received.size >= frame and not received[-frame // 2 :].any():
        received = received[:-frame]
    tail = received[-round(_TAIL_S * rate_hz) :].astype(np.float64)
    first = max(0, received.size - tail.size - round(_SEARCH_S * rate_hz))
    region = whole[first : received.size + round(_SEARCH_S * rate_hz)].astype(np.float64)
    if not tail.any() or region.size < tail.size:
        return None
    correlation = _correlation(tail, region)
    best = int(np.argmax(correlation))
    return first + best + tail.size if correlation[best] >= _LEAST_CORRELATION else None


def _correlation(part: _Float, row: _Float) -> _Float:
    """Normalised correlation of ``part`` with each stretch of ``row`` that has its length."""
    energy = np.cumsum(np.concatenate([[0.0], row**2]))
    stretch = energy[part.size :] - energy[: -part.size]
    length = np.sqrt(np.maximum(stretch, 1.0) * np.sum(part**2))
    found: _Float = np.correlate(row, part, "valid") / length
    return found
