"""The Silero VAD graph, changed so that one call serves many sessions.

The file bundled in faster-whisper takes ``n`` windows of *one* stream: between the convolutions and the LSTM it
transposes (n, 128, 1) to (n, 1, 128), which makes ``n`` the time axis. Transposed to (1, n, 128) instead, ``n`` is the
batch axis, and every window has its own state. Nothing else changes: the weights stay, the arithmetic per window too.
The edit is three numbers of one attribute, so the protobuf wire format (protobuf.dev, "Encoding") is walked by hand;
the package ``onnx`` is not needed. Field numbers are those of ``onnx.proto``.
"""

import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import onnxruntime

from voicegate.kernel.errors import ConfigError

CONTEXT_SAMPLES: Final = 64
"""Samples of the window before that a window begins with."""
WINDOW_SAMPLES: Final = 512
"""New samples in a window: 32 ms at 16 kHz."""
STATE_SIZE: Final = 128

FloatArray = npt.NDArray[np.float32]

_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_INPUT, _GRAPH_OUTPUT, _GRAPH_VALUE_INFO = 1, 11, 12, 13
_NODE_NAME, _NODE_ATTRIBUTE = 3, 5
_ATTRIBUTE_INTS = 8
_INFO_NAME, _INFO_TYPE = 1, 2
_TYPE_TENSOR, _TENSOR_SHAPE, _SHAPE_DIM, _DIM_PARAM = 1, 2, 1, 2
_TRANSPOSE_TO_LSTM = b"/Transpose"
_STATES = (b"h", b"c", b"hn", b"cn")

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


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


def _encoded(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


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


def message(parts: list[Field]) -> bytes:
    """The inverse of :func:`fields`."""
    out = bytearray()
    for part in parts:
        out += _encoded(part.number << 3 | part.wire_type)
        if part.wire_type == _BYTES:
            out += _encoded(len(part.payload))
        out += part.payload
    return bytes(out)


def _edited(data: bytes, number: int, edit: Callable[[bytes], bytes | None]) -> bytes:
    """``data`` with every field ``number`` replaced by ``edit`` of its payload, or left out where that gives None."""
    parts: list[Field] = []
    for part in fields(data):
        payload = edit(part.payload) if part.number == number else part.payload
        if payload is not None:
            parts.append(Field(part.number, part.wire_type, payload))
    return message(parts)


def _first(data: bytes, number: int) -> bytes:
    return next((part.payload for part in fields(data) if part.number == number), b"")


def _batched_transpose(attribute: bytes) -> bytes:
    order = [part.payload for part in fields(attribute) if part.number == _ATTRIBUTE_INTS]
    if order != [b"\x00", b"\x02", b"\x01"]:
        raise ValueError(f"{_TRANSPOSE_TO_LSTM!r} permutes by {order}")
    rest = [part for part in fields(attribute) if part.number != _ATTRIBUTE_INTS]
    return message([*rest, *(Field(_ATTRIBUTE_INTS, _VARINT, axis) for axis in (b"\x02", b"\x00", b"\x01"))])


def _batched_node(node: bytes) -> bytes:
    if _first(node, _NODE_NAME) != _TRANSPOSE_TO_LSTM:
        return node
    return _edited(node, _NODE_ATTRIBUTE, _batched_transpose)


def _batched_info(info: bytes) -> bytes:
    """The declared shape of a state, [1, 1, 128], made [1, batch, 128]."""
    if _first(info, _INFO_NAME) not in _STATES:
        return info
    seen = iter(range(3))

    def dimension(payload: bytes) -> bytes:
        return message([Field(_DIM_PARAM, _BYTES, b"batch")]) if next(seen) == 1 else payload

    def shape(payload: bytes) -> bytes:
        return _edited(payload, _SHAPE_DIM, dimension)

    def tensor(payload: bytes) -> bytes:
        return _edited(payload, _TENSOR_SHAPE, shape)

    return _edited(info, _INFO_TYPE, lambda kind: _edited(kind, _TYPE_TENSOR, tensor))


def batched_over_sessions(model: bytes) -> bytes:
    """The ONNX file changed as the module says.

    Raises:
        ValueError: not the graph this knows.
    """

    def graph(data: bytes) -> bytes:
        if not any(_first(part.payload, _NODE_NAME) == _TRANSPOSE_TO_LSTM for part in fields(data) if part.number == 1):
            raise ValueError(f"no node {_TRANSPOSE_TO_LSTM!r}")
        data = _edited(data, _GRAPH_VALUE_INFO, lambda info: None)  # shapes in between are only a comment
        data = _edited(data, _GRAPH_NODE, _batched_node)
        return _edited(_edited(data, _GRAPH_INPUT, _batched_info), _GRAPH_OUTPUT, _batched_info)

    if not _first(model, _MODEL_GRAPH):
        raise ValueError("no graph inside")
    return _edited(model, _MODEL_GRAPH, graph)


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


class SileroModel:
    """One batched call for any number of streams. Blocking; 16 kHz."""

    def __init__(self, path: Path) -> None:
        try:
            graph = batched_over_sessions(path.read_bytes())
        except (ValueError, IndexError, OSError) as error:
            raise ConfigError(f"Silero VAD: {path} is not the expected graph: {error}") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def run(self, windows: FloatArray, h: FloatArray, c: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Speech probabilities, shape (n,), and new states, shape (n, 128) each, of one window of each of n streams.

        ``windows``: float32 in -1..1, shape (n, 576): the 64 samples before, then 512 new ones. ``h``, ``c``: the
        streams' states, shape (n, 128), zero at a stream's beginning.
        """
        probabilities, new_h, new_c = self._session.run(
            None, {"input": windows, "h": h[np.newaxis], "c": c[np.newaxis]}
        )
        return probabilities, new_h[0], new_c[0]
