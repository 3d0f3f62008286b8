"""The weights of Moonshine tiny's decoder, out of the graph it is shipped in.

The graph's constants have running numbers for names, so the weights of a product are found by the name of what the
product makes, which comes from the modules of the original network.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.adapters.ort_format import Array, OrtContent

WIDTH = 288
"""Channels of a token."""
ROTARY = 32
"""Channels of a head that carry the position."""
_LONGEST = 1024
"""Positions with a rotary angle; a segment of 15 s has about a hundred tokens at most."""

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Linear:
    """Quantised weights side by side, as for one matrix product."""

    name: str
    weights: Array
    """uint8 (inputs, outputs)."""
    scales: FloatArray
    """(outputs,)"""
    zeros: Array
    """uint8 (outputs,)"""
    bias: FloatArray | None

    @property
    def sums(self) -> Array:
        """What each output has to be lessened by for every unit of a row's zero point, int32 (outputs,)."""
        centred = self.weights.astype(np.int32) - self.zeros.astype(np.int32)
        sums: Array = centred.sum(axis=0, dtype=np.int32)
        return sums


class Weights:
    """The shipped decoder's constants, found by what their products are called."""

    def __init__(self, content: OrtContent) -> None:
        self._content = content

    def linear(self, *products: str) -> Linear:
        parts = [self._part(product) for product in products]
        names, weights, scales, zeros, biases = zip(*parts, strict=True)
        widths = [part.shape[1] for part in weights]
        return Linear(
            "+".join(names),
            np.concatenate(weights, axis=1),
            np.repeat(np.array(scales, np.float32), widths),
            np.repeat(np.array(zeros, np.uint8), widths),
            biases[0],
        )

    def _part(self, product: str) -> tuple[str, Array, Array, Array, FloatArray | None]:
        constants = self._content.constants
        inputs = self._content.sources[f"/model/decoder/{product}" if "/" in product else product]
        name = inputs[1].removesuffix("_quantized")
        biases = [constants[i].astype(np.float32) for i in inputs[2:] if "bias" in i]
        return name, constants[inputs[1]], *self._scale(name), biases[0] if biases else None

    def _scale(self, name: str) -> tuple[Array, Array]:
        return self._content.constants[f"{name}_scale"], self._content.constants[f"{name}_zero_point"]

    def norm(self, name: str) -> Array:
        weights: Array = self._content.constants[f"model.decoder.{name}.weight_merged_0"]
        return weights

    def embedding(self) -> tuple[Array, float, int]:
        """uint8 (tokens, channels), their scale and zero point."""
        name = "model.decoder.embed_tokens.weight_merged_0"
        scale, zero = self._scale(name)
        return self._content.constants[f"{name}_quantized"], float(scale), int(zero)

    def angles(self) -> FloatArray:
        """Rotary angles, (positions, pairs of channels)."""
        pairs = ROTARY // 2
        candidates = (c for c in self._content.constants.values() if c.shape[1:] == (pairs, 1))
        slowness = next(candidates).astype(np.float32).reshape(1, pairs)
        return np.arange(_LONGEST, dtype=np.float32)[:, None] * slowness
