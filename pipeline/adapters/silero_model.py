"""Silero VAD's arithmetic for many sessions in one call, on numpy.

The weights are those of the file bundled in faster-whisper; the protobuf wire format (protobuf.dev, "Encoding") is
walked by hand to find them, with field numbers of ``onnx.proto``. The network is small (a spectrum, four convolutions,
one LSTM step), and a runtime for graphs spends most of its time on it badly: it takes one stream's windows at a time
through convolutions four frames long, and multiplies by a Fourier matrix. Here a layer is one matrix product for all
sessions, and the spectrum a real FFT. Results agree to 1e-6; the price of a window falls to a quarter (measured, 16
sessions: 15 µs instead of 56 µs).

The products are too small for several threads to pay, and spinning threads would steal the loop's core: numpy's BLAS
works with one thread from the first :class:`SileroModel` on.
"""

import importlib.util
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from voicegate.kernel.errors import ConfigError

CONTEXT_SAMPLES: Final = 64
"""Samples of the window before that a window begins with."""
WINDOW_SAMPLES: Final = 512
"""New samples in a window: 32 ms at 16 kHz."""
INPUT_SAMPLES: Final = CONTEXT_SAMPLES + WINDOW_SAMPLES
STATE_SIZE: Final = 128

FloatArray = npt.NDArray[np.float32]

_MODEL_GRAPH, _GRAPH_INITIALIZER = 7, 5
_TENSOR_DIMENSIONS, _TENSOR_NAME, _TENSOR_RAW = 1, 8, 9
_FFT, _HOP, _BINS = 256, 128, 129
_REFLECTED = 64
"""Samples mirrored behind the window, so that a fourth frame fits."""
_SHAPES: Final = {
    "encoder.feature_extractor.forward_basis_buffer": (258, 1, 256),
    "encoder.conv_layers.0.weight": (128, 129, 3),
    "encoder.conv_layers.0.bias": (128,),
    "encoder.conv_layers.1.weight": (64, 128, 3),
    "encoder.conv_layers.1.bias": (64,),
    "encoder.conv_layers.2.weight": (64, 64, 3),
    "encoder.conv_layers.2.bias": (64,),
    "encoder.conv_layers.3.weight": (128, 64, 3),
    "encoder.conv_layers.3.bias": (128,),
    "onnx::LSTM_209": (1, 512, 128),
    "onnx::LSTM_210": (1, 512, 128),
    "onnx::LSTM_211": (1, 1024),
    "decoder.conv1d.weight": (1, 128, 1),
    "decoder.conv1d.bias": (1,),
}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a protobuf message as it stands on the wire."""

    number: int
    wire_type: int
    payload: bytes
    """The value's bytes without tag and length."""


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def fields(message: bytes) -> Iterator[Field]:
    """The fields of a message in order."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        match tag & 7:
            case 0:
                _, end = _varint(message, at)
            case 1:
                end = at + 8
            case 2:
                length, at = _varint(message, at)
                end = at + length
            case 5:
                end = at + 4
            case other:
                raise ValueError(f"protobuf wire type {other}")
        if end > len(message):
            raise ValueError("protobuf message ends inside a field")
        yield Field(tag >> 3, tag & 7, message[at:end])
        at = end


def _first(data: bytes, number: int) -> bytes:
    return next((part.payload for part in fields(data) if part.number == number), b"")


def weights(model: bytes) -> dict[str, FloatArray]:
    """The float tensors of the ONNX file that the network needs, by name.

    Raises:
        ValueError: not the graph this knows.
    """
    found: dict[str, FloatArray] = {}
    for part in fields(_first(model, _MODEL_GRAPH)):
        if part.number == _GRAPH_INITIALIZER:
            name = _first(part.payload, _TENSOR_NAME).decode()
            if name in _SHAPES:
                found[name] = _tensor(name, part.payload)
    if missing := _SHAPES.keys() - found.keys():
        raise ValueError(f"no {min(missing)!r} inside")
    _check_spectrum(found["encoder.feature_extractor.forward_basis_buffer"][:, 0])
    return found


def _tensor(name: str, tensor: bytes) -> FloatArray:
    shape = tuple(_varint(part.payload, 0)[0] for part in fields(tensor) if part.number == _TENSOR_DIMENSIONS)
    if shape != _SHAPES[name]:
        raise ValueError(f"{name!r} has the shape {shape}")
    return np.frombuffer(_first(tensor, _TENSOR_RAW), "<f4").reshape(shape)


def _hann() -> npt.NDArray[np.float64]:
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_FFT) / _FFT)


def _check_spectrum(basis: FloatArray) -> None:
    """The file multiplies by a matrix; it must be the windowed Fourier transform that stands in for it here."""
    angle = 2 * np.pi * np.outer(np.arange(_BINS), np.arange(_FFT)) / _FFT
    fourier = np.concatenate([np.cos(angle), -np.sin(angle)]) * _hann()
    if np.abs(basis - fourier).max() > 1e-6:
        raise ValueError("the spectrum is not that of a Hann window")


def bundled_model() -> Path:
    """The file inside the installed faster-whisper, found without importing it.

    Raises:
        ConfigError: the package or the file is missing.
    """
    spec = importlib.util.find_spec("faster_whisper")
    path = Path(spec.origin).parent / "assets" / "silero_vad_v6.onnx" if spec and spec.origin else None
    if path is None or not path.is_file():
        raise ConfigError("Silero VAD needs faster-whisper 1.2, which has silero_vad_v6.onnx inside; it was not found")
    return path


@lru_cache(maxsize=1)
def _one_blas_thread() -> object:
    """For the process's life."""
    return threadpool_limits(limits=1, user_api="blas")


class SileroModel:
    """One call for any number of streams. Blocking; 16 kHz."""

    def __init__(self, path: Path) -> None:
        """Raises:
        ConfigError: the file is missing or not the network this knows.
        """
        try:
            tensors = weights(path.read_bytes())
        except (ValueError, IndexError, OSError) as error:
            raise ConfigError(f"Silero VAD: {path} is not the expected graph: {error}") from error
        _one_blas_thread()
        self._hann = _hann().astype(np.float32)
        self._take_convolutions(tensors)
        self._take_lstm(tensors)

    def _take_convolutions(self, tensors: Mapping[str, FloatArray]) -> None:
        """Kernels as matrices whose rows are the taps in time order, all channels of a tap together. A kernel's first
        tap falls on padding where only the later rows are kept."""
        matrices, self._biases = [], []
        for layer in range(4):
            kernel = tensors[f"encoder.conv_layers.{layer}.weight"].transpose(2, 1, 0)
            matrices.append(np.ascontiguousarray(kernel.reshape(-1, kernel.shape[2])))
            self._biases.append(tensors[f"encoder.conv_layers.{layer}.bias"])
        self._first, self._second = matrices[0], matrices[1]
        self._third, self._fourth = matrices[2][64:].copy(), matrices[3][64:128].copy()
        self._output = tensors["decoder.conv1d.weight"][0, :, 0]
        self._output_bias = float(tensors["decoder.conv1d.bias"][0])

    def _take_lstm(self, tensors: Mapping[str, FloatArray]) -> None:
        """Gates in ONNX's order: input, output, forget, cell. The first three are halved, because a sigmoid is a
        tanh: s(x) = tanh(x / 2) / 2 + 1 / 2."""
        halves = np.repeat(np.array([0.5, 1.0], np.float32), (3 * STATE_SIZE, STATE_SIZE))
        both = np.concatenate([tensors["onnx::LSTM_209"][0], tensors["onnx::LSTM_210"][0]], axis=1)
        self._gates: FloatArray = np.ascontiguousarray(both.T) * halves
        biases = tensors["onnx::LSTM_211"][0]
        self._gate_biases: FloatArray = (biases[: 4 * STATE_SIZE] + biases[4 * STATE_SIZE :]) * halves

    def run(self, windows: npt.NDArray[Any], h: FloatArray, c: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Speech probabilities, shape (n,), and new states, shape (n, 128) each, of one window of each of n streams.

        ``windows``: int16, or float32 in -1..1, shape (n, 576): the 64 samples before, then 512 new ones. ``h``,
        ``c``: float32, the streams' states, shape (n, 128), zero at a stream's beginning.
        """
        spoken = self._encode(self._magnitudes(windows))
        new_h, new_c = self._step(spoken, h, c)
        logits = np.maximum(new_h, 0) @ self._output + np.float32(self._output_bias)
        return 1 / (1 + np.exp(-logits)), new_h, new_c

    def _magnitudes(self, windows: npt.NDArray[Any]) -> FloatArray:
        """Four frames' spectra one behind the other: shape (n, 4 * 129)."""
        padded = np.empty((len(windows), INPUT_SAMPLES + _REFLECTED), np.float32)
        scale = np.float32(1 / 32768 if windows.dtype == np.int16 else 1)
        np.multiply(windows, scale, out=padded[:, :INPUT_SAMPLES])
        padded[:, INPUT_SAMPLES:] = padded[:, INPUT_SAMPLES - 2 : INPUT_SAMPLES - 2 - _REFLECTED : -1]
        row, item = padded.strides
        shape, strides = (len(windows), 4, _FFT), (row, _HOP * item, item)
        frames: FloatArray = np.ndarray(shape, np.float32, padded, 0, strides)
        magnitudes: FloatArray = np.abs(np.fft.rfft(frames * self._hann, axis=2))
        return magnitudes.reshape(len(windows), 4 * _BINS)

    def _encode(self, spectra: FloatArray) -> FloatArray:
        """The four convolutions, each output frame one product: (n, 4 * 129) to (n, 128)."""
        kernel, n = self._first, len(spectra)
        frames = np.empty((n, 4, 128), np.float32)
        frames[:, 0] = spectra[:, : 2 * _BINS] @ kernel[_BINS:]
        frames[:, 1] = spectra[:, : 3 * _BINS] @ kernel
        frames[:, 2] = spectra[:, _BINS:] @ kernel
        frames[:, 3] = spectra[:, 2 * _BINS :] @ kernel[: 2 * _BINS]
        first = _rectified(frames, self._biases[0]).reshape(n, 4 * 128)
        pair = np.empty((n, 2, 64), np.float32)
        pair[:, 0] = first[:, : 2 * 128] @ self._second[128:]
        pair[:, 1] = first[:, 128:] @ self._second
        second = _rectified(pair, self._biases[1]).reshape(n, 2 * 64)
        third = _rectified(second @ self._third, self._biases[2])
        return _rectified(third @ self._fourth, self._biases[3])

    def _step(self, spoken: FloatArray, h: FloatArray, c: FloatArray) -> tuple[FloatArray, FloatArray]:
        gates = np.concatenate([spoken, h], axis=1) @ self._gates
        gates += self._gate_biases
        np.tanh(gates, out=gates)
        opened = gates[:, : 3 * STATE_SIZE]
        opened *= np.float32(0.5)
        opened += np.float32(0.5)
        new_c = opened[:, 2 * STATE_SIZE :] * c
        new_c += opened[:, :STATE_SIZE] * gates[:, 3 * STATE_SIZE :]
        new_h = np.tanh(new_c)
        new_h *= opened[:, STATE_SIZE : 2 * STATE_SIZE]
        return new_h, new_c


def _rectified(values: FloatArray, bias: FloatArray) -> FloatArray:
    values += bias
    return np.maximum(values, 0, out=values)
