"""The weights of Silero VAD, out of the ONNX file that is bundled in faster-whisper.

The protobuf wire format (protobuf.dev, "Encoding") is walked by hand, with field numbers of ``onnx.proto``. Names,
shapes and the spectrum are checked: another release of the file is refused, never computed wrongly.
"""

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from voicegate.kernel.errors import ConfigError

FloatArray: TypeAlias = npt.NDArray[np.float32]

CONTEXT_SAMPLES: Final = 64
"""Samples of the window before that a window begins with."""
WINDOW_SAMPLES: Final = 512
"""New samples in a window: 32 ms at 16 kHz."""
INPUT_SAMPLES: Final = CONTEXT_SAMPLES + WINDOW_SAMPLES
FFT_SAMPLES: Final = 256
"""Samples of one spectrum."""
BINS: Final = 129
STATE_SIZE: Final = 128

_MODEL_GRAPH, _GRAPH_INITIALIZER = 7, 5
_TENSOR_DIMENSIONS, _TENSOR_NAME, _TENSOR_RAW = 1, 8, 9
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
    """The fields of a message in order.

    Raises:
        ValueError, IndexError: not a protobuf message.
    """
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
        ValueError, IndexError: not the graph this knows.
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


def hann() -> npt.NDArray[np.float64]:
    """The window in front of each spectrum."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FFT_SAMPLES) / FFT_SAMPLES)


def _check_spectrum(basis: FloatArray) -> None:
    """The file multiplies by a matrix; it must be the windowed Fourier transform that stands in for it here."""
    angle = 2 * np.pi * np.outer(np.arange(BINS), np.arange(FFT_SAMPLES)) / FFT_SAMPLES
    fourier = np.concatenate([np.cos(angle), -np.sin(angle)]) * hann()
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
