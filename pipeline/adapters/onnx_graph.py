"""Writes a computation graph as an ONNX model, for engines whose shipped graph wastes their time.

Source: ``onnx.proto`` of ONNX IR version 8 (field numbers below) and Protocol Buffers' encoding. Only what an inference
graph needs: float, integer and string attributes, raw initializers, tensors of known rank. Pure; no package ``onnx``.
"""

import struct
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Attribute: TypeAlias = int | float | str | tuple[int, ...]
Array: TypeAlias = npt.NDArray[np.generic]

_IR_VERSION, _OPSET = 8, 17
_ELEMENT = {np.dtype(np.float32): 1, np.dtype(np.uint8): 2, np.dtype(np.int32): 6, np.dtype(np.int64): 7}
_FLOAT, _INT, _STRING, _INTS = 1, 2, 3, 7


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes | str) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _attribute(name: str, value: Attribute) -> bytes:
    head = _bytes(1, name)
    match value:
        case int():
            return head + _number(3, value) + _number(20, _INT)
        case float():
            return head + _varint(2 << 3 | 5) + struct.pack("<f", value) + _number(20, _FLOAT)
        case str():
            return head + _bytes(4, value) + _number(20, _STRING)
        case tuple():
            return head + b"".join(_number(8, item) for item in value) + _number(20, _INTS)


def _tensor(name: str, value: Array) -> bytes:
    dimensions = b"".join(_number(1, size) for size in value.shape)
    return dimensions + _number(2, _ELEMENT[value.dtype]) + _bytes(8, name) + _bytes(9, value.tobytes())


def _described(name: str, dtype: npt.DTypeLike, shape: Sequence[int | str]) -> bytes:
    sizes = b"".join(_bytes(1, _number(1, s) if isinstance(s, int) else _bytes(2, s)) for s in shape)
    tensor = _number(1, _ELEMENT[np.dtype(dtype)]) + _bytes(2, sizes)
    return _bytes(1, name) + _bytes(2, _bytes(1, tensor))


class OnnxGraph:
    """A graph that grows node by node. Every method returns the name of the tensor it adds."""

    def __init__(self) -> None:
        self._nodes: list[bytes] = []
        self._initializers: dict[str, bytes] = {}
        self._inputs: list[bytes] = []
        self._outputs: list[bytes] = []

    def take(self, name: str, dtype: npt.DTypeLike, shape: Sequence[int | str]) -> str:
        """An input; a size given as text is free."""
        self._inputs.append(_described(name, dtype, shape))
        return name

    def give(self, name: str, dtype: npt.DTypeLike, shape: Sequence[int | str]) -> None:
        """Make the tensor ``name`` an output."""
        self._outputs.append(_described(name, dtype, shape))

    def constant(self, name: str, value: Array) -> str:
        """A constant (float32, uint8, int32 or int64); the same name again is the same constant."""
        if name not in self._initializers:
            self._initializers[name] = _tensor(name, value)
        return name

    def node(self, op: str, inputs: Sequence[str], *, out: str = "", domain: str = "", **attributes: Attribute) -> str:
        """A node with one output."""
        return self.nodes(op, inputs, [out or f"t{len(self._nodes)}"], domain=domain, **attributes)[0]

    def nodes(
        self, op: str, inputs: Sequence[str], outs: Sequence[str], *, domain: str = "", **attributes: Attribute
    ) -> Sequence[str]:
        """A node with several outputs, which it names; an empty name among the inputs leaves that one out."""
        fields = [_bytes(1, name) for name in inputs] + [_bytes(2, name) for name in outs]
        fields += [_bytes(3, f"{op}_{len(self._nodes)}"), _bytes(4, op)]
        fields += [_bytes(5, _attribute(name, value)) for name, value in attributes.items()]
        self._nodes.append(b"".join(fields) + _bytes(7, domain))
        return outs

    def model(self) -> bytes:
        """The ModelProto, as ``onnxruntime.InferenceSession`` takes it."""
        graph = b"".join(
            [
                *(_bytes(1, node) for node in self._nodes),
                _bytes(2, "graph"),
                *(_bytes(5, tensor) for tensor in self._initializers.values()),
                *(_bytes(11, value) for value in self._inputs),
                *(_bytes(12, value) for value in self._outputs),
            ]
        )
        opsets = [_bytes(1, domain) + _number(2, version) for domain, version in (("", _OPSET), ("com.microsoft", 1))]
        return _number(1, _IR_VERSION) + _bytes(7, graph) + b"".join(_bytes(8, opset) for opset in opsets)
