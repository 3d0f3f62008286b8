"""Reads the constants out of a model in ONNX Runtime's own file format (``.ort``), which onnxruntime itself only runs.

The file is a FlatBuffer (identifier ``ORTM``). Sources: ``onnxruntime/core/flatbuffers/schema/ort.fbs`` for the slots
below, and FlatBuffers' "Internals" for the encoding: a table points back to its vtable, which holds the place of every
field; strings and vectors are a length and then their elements. Pure.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]

_SESSION_MODEL, _MODEL_GRAPH = 1, 7
_GRAPH_INITIALIZERS, _GRAPH_NODES = 0, 2
_TENSOR_NAME, _TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_RAW = 0, 2, 3, 4
_NODE_INPUTS, _NODE_OUTPUTS, _NODE_ATTRIBUTES = 8, 9, 10
_ATTRIBUTE_GRAPH = 7
_DTYPES: dict[int, np.dtype[np.generic]] = {
    1: np.dtype(np.float32),
    2: np.dtype(np.uint8),
    6: np.dtype(np.int32),
    7: np.dtype(np.int64),
}
"""By the numbers of ONNX's ``TensorProto.DataType``."""


@dataclass(frozen=True, slots=True)
class _Table:
    data: bytes
    at: int

    @classmethod
    def root(cls, data: bytes) -> Self:
        return cls(data, _u32(data, 0))

    def _field(self, slot: int) -> int | None:
        """Where the field lies; None where the table leaves it out."""
        vtable = self.at - int(struct.unpack_from("<i", self.data, self.at)[0])
        place = 4 + 2 * slot
        if place >= struct.unpack_from("<H", self.data, vtable)[0]:
            return None
        offset = int(struct.unpack_from("<H", self.data, vtable + place)[0])
        return self.at + offset if offset else None

    def _pointed(self, slot: int) -> int | None:
        at = self._field(slot)
        return None if at is None else at + _u32(self.data, at)

    def _vector(self, slot: int) -> tuple[int, int]:
        """First element and number of elements; (0, 0) where there is none."""
        at = self._pointed(slot)
        return (0, 0) if at is None else (at + 4, _u32(self.data, at))

    def table(self, slot: int) -> "_Table | None":
        at = self._pointed(slot)
        return None if at is None else _Table(self.data, at)

    def tables(self, slot: int) -> "Iterator[_Table]":
        first, count = self._vector(slot)
        for at in range(first, first + 4 * count, 4):
            yield _Table(self.data, at + _u32(self.data, at))

    def text(self, slot: int) -> str:
        first, length = self._vector(slot)
        return self.data[first : first + length].decode()

    def texts(self, slot: int) -> tuple[str, ...]:
        first, count = self._vector(slot)
        return tuple(self._text_at(at + _u32(self.data, at)) for at in range(first, first + 4 * count, 4))

    def _text_at(self, at: int) -> str:
        return self.data[at + 4 : at + 4 + _u32(self.data, at)].decode()

    def array(self, slot: int, dtype: npt.DTypeLike) -> Array:
        first, count = self._vector(slot)
        return np.frombuffer(self.data, dtype, count, first)

    def number(self, slot: int) -> int:
        at = self._field(slot)
        return 0 if at is None else int(struct.unpack_from("<i", self.data, at)[0])


def _u32(data: bytes, at: int) -> int:
    return int(struct.unpack_from("<I", data, at)[0])


@dataclass(frozen=True, slots=True)
class OrtContent:
    """What a model knows, over its graph and all graphs inside (the branches of an ``If``)."""

    constants: dict[str, Array] = field(default_factory=dict)
    """Float32, uint8, int32 and int64 constants by name. Views of the file's bytes: not writeable."""
    sources: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """For every tensor that a node makes, that node's inputs. Inner graphs come before the node that holds them."""

    @classmethod
    def read(cls, data: bytes) -> Self:
        """The content of a whole ``.ort`` file.

        Raises:
            ValueError: it is no such file.
        """
        if data[4:8] != b"ORTM":
            raise ValueError("no model in ORT format")
        model = _Table.root(data).table(_SESSION_MODEL)
        graph = model.table(_MODEL_GRAPH) if model else None
        if graph is None:
            raise ValueError("no graph in the model")
        content = cls()
        content._add(graph)
        return content

    def _add(self, graph: _Table) -> None:
        for tensor in graph.tables(_GRAPH_INITIALIZERS):
            dtype = _DTYPES.get(tensor.number(_TENSOR_TYPE))
            raw = tensor.array(_TENSOR_RAW, np.uint8)
            if dtype is not None and raw.size:
                shape = tensor.array(_TENSOR_DIMS, np.int64).tolist()
                self.constants[tensor.text(_TENSOR_NAME)] = raw.view(dtype).reshape(shape)
        for node in graph.tables(_GRAPH_NODES):
            for attribute in node.tables(_NODE_ATTRIBUTES):
                if inner := attribute.table(_ATTRIBUTE_GRAPH):
                    self._add(inner)
            for name in node.texts(_NODE_OUTPUTS):
                self.sources.setdefault(name, node.texts(_NODE_INPUTS))
