"""Silero VAD's arithmetic for many sessions in one call, on numpy.

The network is small (a spectrum, four convolutions, one LSTM step), and a runtime for graphs spends most of its time on
it badly: it takes one stream's windows at a time through convolutions four frames long, and multiplies by a Fourier
matrix. Here a layer is one matrix product for all sessions, and the spectrum a real FFT.

What is left is multiplication, near the processor's peak if one knows how it is had:

* OpenBLAS copies both matrices of a product into an order of its own before it multiplies, for 36 windows a third of
  the work, and more where the weights have left the cache. Only products of up to a million multiplications run on the
  matrices as they lie. So weights are cut into :func:`panels`, which stay below that.
* The first convolution costs six products instead of ten (:class:`_FirstLayer`).
* numpy takes float32 through a float64 FFT, unless there is a factor to multiply by: hence ``norm="forward"``.
* A bias is one more row of the weights, for a column of ones in what they multiply.
* ``np.maximum`` with a scalar takes three times as long as with an array of zeros.

The products are too small for several threads to pay, and spinning threads would steal the loop's core: numpy's BLAS
works with one thread from the first :class:`SileroModel` on.
"""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from pipeline.adapters.silero_weights import BINS, FFT_SAMPLES, FloatArray, bundled_model, hann, weights
from voicegate.kernel.errors import ConfigError

__all__ = [
    "CONTEXT_SAMPLES",
    "INPUT_SAMPLES",
    "STATE_SIZE",
    "WINDOW_SAMPLES",
    "FloatArray",
    "SileroModel",
    "bundled_model",
]

CONTEXT_SAMPLES: Final = 64
"""Samples of the window before that a window begins with."""
WINDOW_SAMPLES: Final = 512
"""New samples in a window: 32 ms at 16 kHz."""
INPUT_SAMPLES: Final = CONTEXT_SAMPLES + WINDOW_SAMPLES
STATE_SIZE: Final = 128

_FRAMES, _HOP = 4, 128
_REFLECTED = 64
"""Samples mirrored behind the window, so that a fourth frame fits."""
_SMALL_PRODUCT: Final = 1_000_000
"""Multiplications up to which OpenBLAS takes its kernels for small matrices (those for AVX-512; others lose little)."""
_USUAL_WINDOWS: Final = 64
"""Windows up to which panels stay below that, and room is made at once. More only cost more."""


def panels(matrix: npt.NDArray[Any]) -> FloatArray:
    """Matrices, shape (..., k, m), cut into upright panels, shape (..., panels, k, width), each lying in one piece."""
    *before, k, m = matrix.shape
    width = m
    while _USUAL_WINDOWS * k * width > _SMALL_PRODUCT:
        width //= 2
    cut = matrix.reshape(*before, k, m // width, width)
    return np.ascontiguousarray(np.moveaxis(cut, -2, -3), dtype=np.float32)


def _multiply(rows: FloatArray, by: FloatArray, out: FloatArray) -> None:
    """``rows``, shape (..., n, k), times the panels of a matrix (..., k, m), into ``out``, shape (..., n, m)."""
    count, _, width = by.shape[-3:]
    columns = out.reshape(*out.shape[:-1], count, width)
    np.matmul(rows[..., None, :, :], by, out=columns.swapaxes(-2, -3))


class _Room:
    """The arrays a batch is computed in, made once. A smaller batch takes the first windows of each.

    What is read no more lends its memory to what is written next (``one`` and ``other`` in turn), because the weights
    alone fill a core's cache.
    """

    def __init__(self, windows: int) -> None:
        self.windows = windows
        self.padded = np.empty((windows, INPUT_SAMPLES + _REFLECTED), np.float32)
        row, item = self.padded.strides
        shape, strides = (_FRAMES, windows, FFT_SAMPLES), (_HOP * item, row, item)
        self.frames: FloatArray = np.ndarray(shape, np.float32, self.padded, 0, strides)
        one = np.empty(windows * _FRAMES * FFT_SAMPLES, np.float32)
        other = np.empty(windows * _FRAMES * BINS * 2, np.float32)
        self.windowed = one.reshape(shape)
        self.spectra: npt.NDArray[Any] = other.view(np.complex64).reshape(_FRAMES, windows, BINS)
        self.magnitudes = np.empty((_FRAMES, windows, BINS), np.float32)
        self.at_points = one[: _POINTS * windows * BINS].reshape(_POINTS, windows, BINS)
        self.products = other[: (_POINTS + 1) * windows * 128].reshape(_POINTS + 1, windows, 128)
        self.first = one[: _FRAMES * windows * 128].reshape(_FRAMES, windows, 128)
        self.first_joined = np.ones((windows, 1 + _FRAMES * 128 + 1), np.float32)
        self.second = np.ones((windows, 2 * 64 + 1), np.float32)
        self.third = np.ones((windows, 64 + 1), np.float32)
        self.spoken_and_h = np.ones((windows, 2 * STATE_SIZE + 1), np.float32)
        self.gates = other[: 4 * windows * STATE_SIZE].reshape(4, windows, STATE_SIZE)
        self.zeros = np.zeros((_FRAMES, windows, 128), np.float32)


_POINTS = 6


class _FirstLayer:
    """The first convolution, as a product of polynomials (Toom-Cook; Winograd's F(4, 3) is another name).

    Of four frames f (129 bins each, silence before and after) it makes four rows y (128 channels), with three taps K:
    ``y[t] = K[0] f[t-1] + K[1] f[t] + K[2] f[t+1]``, ten products. But y[0] ... y[3] are also the coefficients of x to
    x^4 in ``(f[0] + f[1] x + f[2] x^2 + f[3] x^3) * (K[2] + K[1] x + K[0] x^2)``, a polynomial with six coefficients.
    Its values at six points determine it, and a value is *one* product: of what the frames' polynomial is at that
    point, four numbers times four frames, and of what the taps' is there, known beforehand. Points are zero, where only
    f[0] K[2] is left, infinity (f[3] K[0]), and four with their negatives that keep the numbers in the inverse small.
    """

    def __init__(self, kernel: FloatArray, bias: FloatArray) -> None:
        """``kernel``: shape (channels, bins, taps), as in the file."""
        finite = np.vander([1.5, -1.5, 0.75, -0.75], _POINTS, increasing=True)
        zero, *_, infinity = np.eye(_POINTS)
        powers = np.vstack([zero, finite, infinity])
        taps = kernel.transpose(2, 1, 0)[::-1].astype(np.float64)
        self._frames_at_points = powers[:, :_FRAMES].astype(np.float32)
        self._frames_at_points[-1] = infinity[-_FRAMES:]
        taps_at_points = powers[:, :3].copy()
        taps_at_points[-1] = infinity[-3:]
        self._taps = panels(np.tensordot(taps_at_points, taps, 1))
        self._coefficients = np.hstack([np.linalg.inv(powers)[1:5], np.ones((_FRAMES, 1))]).astype(np.float32)
        self._bias = bias

    def apply(self, room: _Room, n: int) -> None:
        """From ``room.magnitudes`` to ``room.first``, not yet rectified."""
        values, products = room.at_points[:, :n], room.products[:, :n]
        frames, rows = room.magnitudes[:, :n], room.first[:, :n]
        np.matmul(self._frames_at_points, frames.reshape(_FRAMES, -1), out=values.reshape(_POINTS, -1))
        _multiply(values, self._taps, products[:_POINTS])
        products[_POINTS] = self._bias
        np.matmul(self._coefficients, products.reshape(_POINTS + 1, -1), out=rows.reshape(_FRAMES, -1))


@lru_cache(maxsize=1)
def _one_blas_thread() -> object:
    """For the process's life."""
    return threadpool_limits(limits=1, user_api="blas")


class SileroModel:
    """Any number of streams in one call. Blocking, and one call at a time; 16 kHz."""

    def __init__(self, path: Path) -> None:
        """Raises:
        ConfigError: the file is missing or not the network this knows.
        """
        try:
            tensors = weights(path.read_bytes())
        except (ValueError, IndexError, OSError) as error:
            raise ConfigError(f"Silero VAD: {path} is not the expected graph: {error}") from error
        _one_blas_thread()
        window = hann() * FFT_SAMPLES  # which the transform divides by
        self._window, self._int16_window = window.astype(np.float32), (window / 32768).astype(np.float32)
        self._take_convolutions(tensors)
        self._take_lstm(tensors)
        self._room = _Room(_USUAL_WINDOWS)

    def _take_convolutions(self, tensors: Mapping[str, FloatArray]) -> None:
        """Kernels as matrices whose rows are the taps in time order, all channels of a tap together, and the bias. A
        tap that only meets padding is left out."""
        kernels = [tensors[f"encoder.conv_layers.{layer}.weight"] for layer in range(4)]
        biases = [tensors[f"encoder.conv_layers.{layer}.bias"] for layer in range(4)]
        self._first = _FirstLayer(kernels[0], biases[0])
        second, third, fourth = (kernel.transpose(2, 1, 0) for kernel in kernels[1:])
        self._second_early = panels(np.vstack([biases[1], *second[1:]]))
        self._second_late = panels(np.vstack([*second, biases[1]]))
        self._third = panels(np.vstack([*third[1:], biases[2]]))
        self._fourth = panels(np.vstack([fourth[1], biases[3]]))
        self._output = tensors["decoder.conv1d.weight"][0, :, 0]
        self._output_bias = tensors["decoder.conv1d.bias"][0]

    def _take_lstm(self, tensors: Mapping[str, FloatArray]) -> None:
        """Gates in ONNX's order: input, output, forget, cell. The first three are halved, because a sigmoid is a
        tanh: s(x) = tanh(x / 2) / 2 + 1 / 2."""
        biases = tensors["onnx::LSTM_211"].reshape(2, 4 * STATE_SIZE).sum(axis=0)
        gates = np.vstack([tensors["onnx::LSTM_209"][0].T, tensors["onnx::LSTM_210"][0].T, biases])
        gates[:, : 3 * STATE_SIZE] *= 0.5
        self._gates = panels(gates.reshape(-1, 4, STATE_SIZE).swapaxes(0, 1))

    def run(self, windows: npt.NDArray[Any], h: FloatArray, c: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Speech probabilities, shape (n,), and new states, shape (n, 128) each, of one window of each of n streams.

        ``windows``: int16, or float32 in -1..1, shape (n, 576): the 64 samples before, then 512 new ones. ``h``,
        ``c``: float32, the streams' states, shape (n, 128), zero at a stream's beginning.
        """
        n = len(windows)
        if n > self._room.windows:
            self._room = _Room(n)
        room = self._room
        self._find_magnitudes(windows, room, n)
        self._first.apply(room, n)
        self._encode(room, n)
        room.spoken_and_h[:n, STATE_SIZE:-1] = h
        new_h, new_c = self._step(room, n, c)
        logits: FloatArray = np.maximum(new_h, room.zeros[0, :n]) @ self._output
        logits += self._output_bias
        return np.reciprocal(1 + np.exp(-logits)), new_h, new_c

    def _find_magnitudes(self, windows: npt.NDArray[Any], room: _Room, n: int) -> None:
        """Four frames' spectra, 128 samples apart."""
        padded, windowed, spectra = room.padded[:n], room.windowed[:, :n], room.spectra[:, :n]
        padded[:, :INPUT_SAMPLES] = windows
        padded[:, INPUT_SAMPLES:] = padded[:, INPUT_SAMPLES - 2 : INPUT_SAMPLES - 2 - _REFLECTED : -1]
        window = self._int16_window if windows.dtype == np.int16 else self._window
        np.multiply(room.frames[:, :n], window, out=windowed)
        np.fft.rfft(windowed, norm="forward", out=spectra)
        np.abs(spectra, out=room.magnitudes[:, :n])

    def _encode(self, room: _Room, n: int) -> None:
        """The other three convolutions, from four rows to two to one: ``spoken``, the LSTM's input."""
        zeros, joined = room.zeros[:, :n], room.first_joined[:n]
        np.maximum(room.first[:, :n], zeros, out=joined[:, 1:-1].reshape(n, _FRAMES, 128).swapaxes(0, 1))
        second, third, spoken = room.second[:n], room.third[:n, :64], room.spoken_and_h[:n, :STATE_SIZE]
        _multiply(joined[:, : 1 + 2 * 128], self._second_early, second[:, :64])
        _multiply(joined[:, 1 + 128 :], self._second_late, second[:, 64:128])
        np.maximum(second[:, :128], zeros[0], out=second[:, :128])
        _multiply(second, self._third, third)
        np.maximum(third, zeros[0, :, :64], out=third)
        _multiply(room.third[:n], self._fourth, spoken)
        np.maximum(spoken, zeros[0], out=spoken)

    def _step(self, room: _Room, n: int, c: FloatArray) -> tuple[FloatArray, FloatArray]:
        gates = room.gates[:, :n]
        _multiply(room.spoken_and_h[:n], self._gates, gates)
        np.tanh(gates, out=gates)
        opened = gates[:3]
        opened *= np.float32(0.5)
        opened += np.float32(0.5)
        taken, given, kept, candidate = gates
        new_c = kept * c
        taken *= candidate
        new_c += taken
        new_h = np.tanh(new_c)
        new_h *= given
        return new_h, new_c
