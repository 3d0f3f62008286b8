"""Sample rate conversion: a low-delay streaming filter for calls, libsoxr for whole files.

Why not libsoxr for calls: its stream works in DFT blocks. Fed with 20 ms frames it holds back (measured, worst
moment of a running stream; soxr 1.1.0) 61 ms at quality LQ and 115 ms at HQ for 8 <-> 16 kHz, and 20 ms (LQ) or
37 ms (HQ) for 48 -> 16 kHz. QQ has no delay and no anti-alias filter. The polyphase filter below holds back 3 ms at
8 kHz and 1.5 ms otherwise, at about 15 to 25 µs a frame instead of 7 to 10 µs.

Delay of :class:`Resampler`, as look-ahead in samples (the output is aligned with the input; a sample can only leave
when the filter has seen what follows it):

=================  ==================  =======
rates              input samples       ms
=================  ==================  =======
8 -> 16 kHz        24                  3.0
16 -> 8 kHz        48                  3.0
24 -> 16 kHz       36                  1.5
48 -> 16 kHz       72                  1.5
16 -> 24 kHz       24                  1.5
16 -> 48 kHz       24                  1.5
equal              0                   0
=================  ==================  =======

Ratios that do not reduce to small numbers (44.1 or 22.05 kHz) work in blocks of 10 or 20 ms on top of that.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import gcd
from typing import Final

import numpy as np
import numpy.typing as npt
import soxr

from voicegate.kernel.audio import Samples
from voicegate.kernel.errors import AudioError

HALF_LENGTH: Final = 24
"""Half the filter's length in samples of the lower rate. Our choice, measured where the lower rate is 8 kHz: flat
within 0.1 dB up to 3.5 kHz (telephony ends at 3.4), 34 dB down at 4 kHz, 63 dB from 4.2 kHz. 16 would save 1 ms and
be only 20 dB down at 4 kHz and 0.7 dB down at 3.5."""

_CUTOFF: Final = 0.94
"""Middle of the transition band as a part of the lower Nyquist frequency."""

_KAISER_BETA: Final = 5.65
"""60 dB of stop band attenuation: below the noise of G.711."""

_SCALE: Final = 1 << 24
"""Taps are whole multiples of 1/_SCALE, held in float64. Every product and every partial sum is then a multiple of it
with at most 53 bits, so the result is exact: independent of how the stream is cut, of BLAS and of the machine."""

_MAX_RATIO: Final = 640
"""Largest term of the reduced ratio; 11.025 -> 16 kHz is 640:441. Above, the filter bank would not be small."""

_KEPT_WHOLE: Final = 4096
"""Samples of a push above which its end is copied."""

_MAX_WINDOW_ELEMENTS: Final = 1 << 19
"""Elements of the window matrix worked on at once (4 MiB), so that a long message costs no long array."""

_GROUP: Final = 16
"""Blocks that one product makes out of one window. Overlapping windows of single blocks would copy every sample some
fifty times; with these it is copied four times, and most factors of the wider matrix are not zero."""

_MAX_GROUP_ELEMENTS: Final = 1 << 14
"""Elements of that wider matrix; ratios of large numbers, whose blocks are long, do without it."""

_Float = npt.NDArray[np.float64]


@lru_cache(maxsize=32)
def _filter_bank(up: int, down: int) -> tuple[int, _Float]:
    """Look-ahead in input samples, and the matrix that turns one window of input into ``up`` outputs.

    Output j of a block lies at input time j*down/up; the window begins ``half`` samples before the block.
    """
    half = -(-HALF_LENGTH * max(up, down) // up)
    width = 2 * half + (up - 1) * down // up + 1
    distance = np.arange(width)[:, None] - half - (np.arange(up) * down / up)[None, :]
    cutoff = _CUTOFF * min(1.0, up / down)
    window = np.i0(_KAISER_BETA * np.sqrt(np.clip(1 - (distance / half) ** 2, 0, None)))
    taps = np.sinc(cutoff * distance) * np.where(np.abs(distance) <= half, window, 0)
    taps /= taps.sum(axis=0)
    return half, np.rint(taps * _SCALE) / _SCALE


@lru_cache(maxsize=32)
def _group_bank(up: int, down: int) -> _Float | None:
    """The matrix that turns one window into :data:`_GROUP` blocks; None where it would be large."""
    _, bank = _filter_bank(up, down)
    width = len(bank)
    wide = np.zeros((width + (_GROUP - 1) * down, _GROUP * up))
    for block in range(_GROUP):
        wide[block * down : block * down + width, block * up : (block + 1) * up] = bank
    return wide if wide.size <= _MAX_GROUP_ELEMENTS else None


class Resampler:
    """Streaming conversion of mono int16 between two rates.

    Any cutting of the input gives the same output, bit for bit. All output together has
    ``ceil(inputs * to_hz / from_hz)`` samples.

    Raises:
        AudioError: the rates are not positive or have no small ratio (such as 44101 to 16000).
    """

    def __init__(self, from_hz: int, to_hz: int) -> None:
        if from_hz <= 0 or to_hz <= 0:
            raise AudioError(f"cannot resample from {from_hz} Hz to {to_hz} Hz")
        divisor = gcd(from_hz, to_hz)
        self._up, self._down = to_hz // divisor, from_hz // divisor
        if max(self._up, self._down) > _MAX_RATIO:
            raise AudioError(f"cannot resample a stream from {from_hz} Hz to {to_hz} Hz: the ratio is not small")
        self._identity = self._up == self._down
        self.delay_samples, self._bank = (0, np.empty((0, 0))) if self._identity else _filter_bank(self._up, self._down)
        """Look-ahead in input samples."""
        self._wide = None if self._identity else _group_bank(self._up, self._down)
        self._between = len(self._bank) - self._down if self._wide is not None else -1
        """What is held between two blocks; -1: its blocks are not made in groups."""
        self._reset()

    def _reset(self) -> None:
        self._rest: _Float = np.zeros(self.delay_samples)
        self._taken = 0
        self._given = 0

    def push(self, samples: Samples) -> Samples:
        """Samples that are complete now: int16, shape (n,), n may be 0."""
        if self._identity:
            return samples
        self._taken += samples.size
        held = self._rest.size
        buffer = np.empty(held + samples.size)
        buffer[:held], buffer[held:] = self._rest, samples
        blocks = max(0, (buffer.size - len(self._bank)) // self._down + 1)
        self._rest = buffer[blocks * self._down :]  # no longer than a window, but it keeps a whole push alive
        if samples.size > _KEPT_WHOLE:
            self._rest = self._rest.copy()
        out = self._filter(buffer, blocks)
        self._given += out.size
        return out

    @property
    def running(self) -> bool:
        """It holds what lies between two blocks, and no part of one: :func:`push_together` may be used."""
        return self._rest.size == self._between

    def flush(self) -> Samples:
        """End of stream: what the filter holds. The object is as new afterwards."""
        if self._identity:
            return np.empty(0, np.int16)
        missing = -(-self._taken * self._up // self._down) - self._given
        tail = self.push(np.zeros(len(self._bank) + self._down, np.int16))[:missing]
        self._reset()
        return tail

    def _filter(self, buffer: _Float, blocks: int) -> Samples:
        if self._wide is None:
            return _convolved(buffer, self._bank, self._down, blocks)
        groups, single = divmod(blocks, _GROUP)
        grouped = _convolved(buffer, self._wide, self._down * _GROUP, groups)
        if not single:
            return grouped
        rest = _convolved(buffer[groups * _GROUP * self._down :], self._bank, self._down, single)
        return np.concatenate([grouped, rest]) if groups else rest


def push_together(resamplers: Sequence[Resampler], samples: npt.NDArray[np.floating]) -> Samples:
    """:meth:`Resampler.push` for many running streams of the same rates, in one product.

    ``samples``: whole numbers in float64, shape (streams, n), n in whole groups of blocks. The same bits come out, as
    int16 of shape (streams, n * to_hz / from_hz).
    """
    first, (streams, size) = resamplers[0], samples.shape
    wide = first._wide
    assert wide is not None, "see Resampler.running"
    hop = first._down * _GROUP
    assert not size % hop, "whole groups of blocks"
    held = first._between
    buffer = np.empty((streams, held + size))
    buffer[:, :held] = np.concatenate([each._rest for each in resamplers]).reshape(streams, held)
    buffer[:, held:] = samples
    groups, item = size // hop, buffer.itemsize
    strides = ((held + size) * item, hop * item, item)
    windows: _Float = np.ndarray((streams, groups, len(wide)), np.float64, buffer, 0, strides)
    out = _rounded(np.matmul(windows.reshape(streams * groups, len(wide)), wide)).reshape(streams, -1)
    given = out.shape[1]
    for each, row in zip(resamplers, buffer, strict=True):
        each._rest = row[size:]
        each._taken += size
        each._given += given
    return out


def _rounded(exact: _Float) -> Samples:
    np.rint(exact, out=exact)
    np.minimum(exact, 32767, out=exact)
    np.maximum(exact, -32768, out=exact)
    rounded: Samples = exact.astype(np.int16)
    return rounded


def _convolved(buffer: _Float, bank: _Float, hop: int, count: int) -> Samples:
    """``count`` windows, ``hop`` samples apart, each times the matrix."""
    width, outputs = bank.shape
    item = buffer.itemsize
    step = max(1, _MAX_WINDOW_ELEMENTS // width)
    parts = []
    for start in range(0, count, step):
        rows = min(step, count - start)
        windows: _Float = np.ndarray((rows, width), np.float64, buffer, start * hop * item, (hop * item, item))
        # A copy is cheaper than the slow path that overlapping windows take in matmul.
        parts.append(_rounded(np.matmul(windows.copy(), bank)).reshape(rows * outputs))
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else np.empty(0, np.int16)


def resample_whole(samples: Samples, from_hz: int, to_hz: int) -> Samples:
    """Convert a complete recording, any two rates, libsoxr quality HQ.

    The work is done in float32 because libsoxr dithers int16 output: a constant would come out with noise of 1.
    """
    if from_hz == to_hz or not samples.size:
        return samples
    converted = soxr.resample(samples.astype(np.float32), from_hz, to_hz, quality="HQ")
    rounded: Samples = np.clip(np.rint(converted), -32768, 32767).astype(np.int16)
    return rounded
