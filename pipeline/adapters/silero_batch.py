"""A batch of windows on its way through Silero VAD's layers.

Between two batches others use the core, and everything has left its caches: what is asked of numpy is as little code as
it can be. Making arrays, even views, is a tenth of the work of a small batch, so all of them are kept. ``np.maximum``
takes three times as long with a scalar as with an array of zeros. And the Fourier transform is called past
``np.fft.rfft``, which computes float32 in float64 and, cold, takes as long to find out what it was asked as for the
transform of sixteen windows.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from pipeline.adapters.silero_layers import FRAMES, POINTS, Layers
from pipeline.adapters.silero_weights import BINS, FFT_SAMPLES, INPUT_SAMPLES, STATE_SIZE, FloatArray

KERNEL: Final[np.ufunc | None] = getattr(getattr(np.fft, "_pocketfft_umath", None), "rfft_n_even", None)
"""What ``np.fft.rfft`` wraps: takes samples, a factor and the result. None where a numpy has no such thing."""

_HOP = 128
_REFLECTED = 64
"""Samples mirrored behind the window, so that a fourth frame fits."""
_HALF, _ONE = np.float32(0.5), np.float32(1)


def rfft(samples: FloatArray, out: npt.NDArray[Any], kernel: np.ufunc | None = KERNEL) -> None:
    """The real transform of float32 over the last axis (of even length) into complex64, by numpy's kernel if there is
    one, else by its public function."""
    if kernel is None:
        np.fft.rfft(samples, out=out)
    else:
        kernel(samples, _ONE, out)


@dataclass(frozen=True, slots=True)
class _Product:
    """Matrices that are multiplied where they lie."""

    rows: FloatArray
    by: FloatArray
    out: FloatArray

    def __call__(self) -> None:
        np.matmul(self.rows, self.by, out=self.out)


@dataclass(frozen=True, slots=True)
class _Rectification:
    """What is above zero."""

    values: FloatArray
    zeros: FloatArray
    out: FloatArray

    def __call__(self) -> None:
        np.maximum(self.values, self.zeros, out=self.out)


def _product(rows: FloatArray, by: FloatArray, out: FloatArray) -> _Product:
    """``rows``, shape (..., n, k), times the panels of a matrix (..., k, m), into ``out``, shape (..., n, m)."""
    count, _, width = by.shape[-3:]
    columns = out.reshape(*out.shape[:-1], count, width)
    return _Product(rows[..., None, :, :], by, columns.swapaxes(-2, -3))


def _rectification(values: FloatArray, zeros: FloatArray) -> _Rectification:
    """In place, of rows that lie one behind the other, as one piece."""
    flat = values.reshape(-1)
    return _Rectification(flat, zeros.reshape(-1)[: flat.size], flat)


class Room:
    """Memory for a batch of up to so many windows; a smaller one takes the first windows of each array.

    What is read no more lends its memory to what is written next (``one`` and ``other`` in turn), because the weights
    alone fill a core's cache.
    """

    def __init__(self, windows: int) -> None:
        self.windows = windows
        self.padded = np.empty((windows, INPUT_SAMPLES + _REFLECTED), np.float32)
        row, item = self.padded.strides
        shape, strides = (windows, FRAMES, FFT_SAMPLES), (row, _HOP * item, item)
        self.frames: FloatArray = np.ndarray(shape, np.float32, self.padded, 0, strides)
        one = np.empty(windows * FRAMES * FFT_SAMPLES, np.float32)
        other = np.empty(windows * FRAMES * BINS * 2, np.float32)
        self.windowed = one.reshape(shape)
        self.spectra: npt.NDArray[Any] = other.view(np.complex64).reshape(FRAMES, windows, BINS)
        self.magnitudes = np.empty((FRAMES, windows, BINS), np.float32)
        self.at_points = one[: POINTS * windows * BINS].reshape(POINTS, windows, BINS)
        self.products = other[: (POINTS + 1) * windows * 128].reshape(POINTS + 1, windows, 128)
        self.first = one[: FRAMES * windows * 128].reshape(FRAMES, windows, 128)
        self.joined = np.ones((windows, 1 + FRAMES * 128 + 1), np.float32)
        self.second = np.ones((windows, 2 * 64 + 1), np.float32)
        self.third = np.ones((windows, 64 + 1), np.float32)
        self.spoken_and_h = np.ones((windows, 2 * STATE_SIZE + 1), np.float32)
        self.gates = other[: 4 * windows * STATE_SIZE].reshape(4, windows, STATE_SIZE)
        self.zeros = np.zeros_like(self.spoken_and_h)


class Batch:
    """The way of ``n`` windows through the layers. What is multiplied, and into what, is settled when it is made;
    :meth:`find_magnitudes`, :meth:`encode` and :meth:`step` follow one another."""

    def __init__(self, layers: Layers, room: Room, n: int) -> None:
        self._layers = layers
        padded = room.padded[:n]
        self._windows, self._behind = padded[:, :INPUT_SAMPLES], padded[:, INPUT_SAMPLES:]
        self._mirror = padded[:, INPUT_SAMPLES - 2 : INPUT_SAMPLES - 2 - _REFLECTED : -1]
        self._frames, self._windowed = room.frames[:n], room.windowed[:n]
        self._frames_first = self._windowed.swapaxes(0, 1)
        self._spectra, self._magnitudes = room.spectra[:, :n], room.magnitudes[:, :n]
        self._zeros = room.zeros.reshape(-1)[: n * 128].reshape(n, 128)
        self._take_first(layers, room, n)
        self._take_others(layers, room, n)
        self._h = room.spoken_and_h[:n, STATE_SIZE:-1]
        self._gates = room.gates[:, :n]
        self._all_gates = _product(room.spoken_and_h[:n], layers.gates, self._gates)
        self._sigmoids = self._gates[:3]
        self._taken, self._given, self._kept, self._candidate = self._gates

    def _take_first(self, layers: Layers, room: Room, n: int) -> None:
        """Evaluate, multiply, interpolate. ``flat`` arrays have a frame, point or product of all windows in a row."""
        first, at_points, products = layers.first, room.at_points[:, :n], room.products[:, :n]
        rows, joined = room.first[:, :n], room.joined[:n, 1:-1].reshape(n, FRAMES, 128)
        self._join = _Rectification(rows, self._zeros, joined.swapaxes(0, 1))
        flat = self._magnitudes.reshape(FRAMES, -1)
        self._evaluate = _Product(first.frames_at_points, flat, at_points.reshape(POINTS, -1))
        self._six = _product(at_points, first.taps, products[:POINTS])
        self._first_bias = products[POINTS]
        flat = products.reshape(POINTS + 1, -1)
        self._interpolate = _Product(first.coefficients, flat, rows.reshape(FRAMES, -1))

    def _take_others(self, layers: Layers, room: Room, n: int) -> None:
        """Rectifications take the columns of ones along, and h, which is written later."""
        joined, second, third, spoken_and_h = room.joined[:n], room.second[:n], room.third[:n], room.spoken_and_h[:n]
        self._early = _product(joined[:, : 1 + 2 * 128], layers.second_early, second[:, :64])
        self._late = _product(joined[:, 1 + 128 :], layers.second_late, second[:, 64:128])
        self._rectify_second = _rectification(second, room.zeros)
        self._to_third = _product(second, layers.third, third[:, :64])
        self._rectify_third = _rectification(third, room.zeros)
        self._to_spoken = _product(third, layers.fourth, spoken_and_h[:, :STATE_SIZE])
        self._rectify_spoken = _rectification(spoken_and_h, room.zeros)

    def find_magnitudes(self, windows: npt.NDArray[Any]) -> None:
        """Four frames' spectra, 128 samples apart."""
        self._windows[...] = windows
        self._behind[...] = self._mirror
        window = self._layers.int16_window if windows.dtype == np.int16 else self._layers.window
        np.multiply(self._frames, window, out=self._windowed)
        rfft(self._frames_first, self._spectra)
        np.abs(self._spectra, out=self._magnitudes)

    def encode(self) -> None:
        """The four convolutions, from four frames to four rows, two, one, one."""
        self._evaluate()
        self._six()
        self._first_bias[...] = self._layers.first.bias
        self._interpolate()
        self._join()
        self._early()
        self._late()
        self._rectify_second()
        self._to_third()
        self._rectify_third()
        self._to_spoken()
        self._rectify_spoken()

    def step(self, h: FloatArray, c: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """The LSTM, and what it says."""
        taken, sigmoids = self._taken, self._sigmoids
        self._h[...] = h
        self._all_gates()
        np.tanh(self._gates, out=self._gates)
        np.multiply(sigmoids, _HALF, out=sigmoids)
        np.add(sigmoids, _HALF, out=sigmoids)
        new_c = self._kept * c
        taken *= self._candidate
        new_c += taken
        new_h = np.tanh(new_c)
        new_h *= self._given
        logits = np.maximum(new_h, self._zeros, out=taken) @ self._layers.output
        logits += self._layers.output_bias
        return np.reciprocal(_ONE + np.exp(-logits)), new_h, new_c
