"""Silero VAD's layers as matrices, in the form in which multiplying by them is cheapest.

OpenBLAS copies both matrices of a product into an order of its own before it multiplies, for 36 windows a third of the
work, and more where the weights have left the cache. Only products of up to a million multiplications run on the
matrices as they lie, near the processor's peak. So weights are cut into :func:`panels`, which stay below that. A bias
is one more row of the weights, for a column of ones in what they multiply.

The first convolution is a product of polynomials (Toom-Cook; Winograd's F(4, 3) is another name). Of four frames f (129
bins each, silence before and after) it makes four rows y (128 channels), with three taps K: ``y[t] = K[0] f[t-1] + K[1]
f[t] + K[2] f[t+1]``, ten products. But y[0] ... y[3] are also the coefficients of x to x^4 in ``(f[0] + f[1] x + f[2]
x^2 + f[3] x^3) * (K[2] + K[1] x + K[0] x^2)``, a polynomial with six coefficients. Its values at six points determine
it, and a value is *one* product: of what the frames' polynomial is at that point, four numbers times four frames, and
of what the taps' is there, known beforehand. The points are zero, where only f[0] K[2] is left, infinity (f[3] K[0]),
and four with their negatives that keep the numbers in the inverse small.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from pipeline.adapters.silero_weights import STATE_SIZE, FloatArray, hann

FRAMES: Final = 4
"""Spectra in a window, 128 samples apart."""
POINTS: Final = 6
USUAL_WINDOWS: Final = 64
"""Windows up to which a product by panels is a small one. More only cost more."""

_SMALL_PRODUCT: Final = 1_000_000
"""Multiplications up to which OpenBLAS takes its kernels for small matrices (those for AVX-512; others lose little)."""
_FINITE_POINTS: Final = (1.5, -1.5, 0.75, -0.75)
_TAPS = 3


def panels(matrix: npt.NDArray[Any]) -> FloatArray:
    """Matrices, shape (..., k, m), cut into upright panels, shape (..., panels, k, width), each lying in one piece."""
    *before, k, m = matrix.shape
    width = m
    while USUAL_WINDOWS * k * width > _SMALL_PRODUCT:
        width //= 2
    cut = matrix.reshape(*before, k, m // width, width)
    return np.ascontiguousarray(np.moveaxis(cut, -2, -3), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class FirstLayer:
    """The first convolution, as six products."""

    frames_at_points: FloatArray
    """Shape (6, 4): a frame's part in the value at a point."""
    taps: FloatArray
    """Six times panels of (129, 128): the taps' values at the points."""
    coefficients: FloatArray
    """Shape (4, 7): a row's parts of the six products, and once the bias."""
    bias: FloatArray


def first_layer(kernel: FloatArray, bias: FloatArray) -> FirstLayer:
    """``kernel``: shape (channels, bins, taps), as in the file."""
    zero, *_, infinity = np.eye(POINTS)
    powers = np.vstack([zero, np.vander(_FINITE_POINTS, POINTS, increasing=True), infinity])
    # A polynomial at infinity is its highest coefficient.
    frames_at_points = np.vstack([powers[:-1, :FRAMES], infinity[-FRAMES:]])
    taps_at_points = np.vstack([powers[:-1, :_TAPS], infinity[-_TAPS:]])
    taps = np.tensordot(taps_at_points, kernel.transpose(2, 1, 0)[::-1].astype(np.float64), 1)
    coefficients = np.hstack([np.linalg.inv(powers)[1 : 1 + FRAMES], np.ones((FRAMES, 1))])
    return FirstLayer(frames_at_points.astype(np.float32), panels(taps), coefficients.astype(np.float32), bias)


@dataclass(frozen=True, slots=True)
class Layers:
    """Kernels are panels of matrices whose rows are the taps in time order, all channels of a tap together, and the
    bias. A tap that only meets padding is left out."""

    window: FloatArray
    """Shape (256,): Hann's, for samples in -1..1."""
    int16_window: FloatArray
    first: FirstLayer
    second_early: FloatArray
    """The second convolution's first row: bias, and the frames 0 and 1."""
    second_late: FloatArray
    """Its second row: the frames 1 to 3, and bias."""
    third: FloatArray
    fourth: FloatArray
    gates: FloatArray
    """Input, output, forget, cell, as ONNX has them: four times panels of (128 + 128 + 1, 128). The first three are
    halved, because a sigmoid is a tanh: s(x) = tanh(x / 2) / 2 + 1 / 2."""
    output: FloatArray
    output_bias: np.float32


def layers(tensors: Mapping[str, FloatArray]) -> Layers:
    """Of the tensors that :func:`~pipeline.adapters.silero_weights.weights` found."""
    window = hann()
    kernels = [tensors[f"encoder.conv_layers.{layer}.weight"] for layer in range(4)]
    biases = [tensors[f"encoder.conv_layers.{layer}.bias"] for layer in range(4)]
    second, third, fourth = (kernel.transpose(2, 1, 0) for kernel in kernels[1:])
    gate_biases = tensors["onnx::LSTM_211"].reshape(2, 4 * STATE_SIZE).sum(axis=0)
    gates = np.vstack([tensors["onnx::LSTM_209"][0].T, tensors["onnx::LSTM_210"][0].T, gate_biases])
    gates[:, : 3 * STATE_SIZE] *= 0.5
    return Layers(
        window=window.astype(np.float32),
        int16_window=(window / 32768).astype(np.float32),
        first=first_layer(kernels[0], biases[0]),
        second_early=panels(np.vstack([biases[1], *second[1:]])),
        second_late=panels(np.vstack([*second, biases[1]])),
        third=panels(np.vstack([*third[1:], biases[2]])),
        fourth=panels(np.vstack([fourth[1], biases[3]])),
        gates=panels(gates.reshape(-1, 4, STATE_SIZE).swapaxes(0, 1)),
        output=tensors["decoder.conv1d.weight"][0, :, 0],
        output_bias=tensors["decoder.conv1d.bias"][0],
    )
