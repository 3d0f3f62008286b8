"""Moonshine tiny's decoder as a graph of our own, out of the shipped graph's weights.

Two things the shipped graph cannot do:

* Take many tokens in one pass *with the result of one pass a token*. Its activations are quantised with one scale for
  all tokens of a pass, so a draft checked in one pass has other logits (up to 0.4 off) than the same tokens step by
  step, and one token in fifty turns out differently. Here every row has its own scale, and every row's sums run in the
  same order whatever stands beside it: a pass of many tokens equals as many passes bit for bit.
* Attend without padding: it widens every head of the encoder's keys and values from 36 to 40 channels in every step.

For equal sums a pass has always two rows or more (a single row would take the matrix-vector kernels, which add up in
another order), and the caches have one fixed length, with what is not yet written masked. So what a rejected draft
left in the caches needs no removal: it lies behind the mask until it is overwritten.

Architecture: Jeffries et al., "Moonshine", 2024: rotary embedding of the first 32 of a head's 36 channels, gated MLP,
no biases around attention. Quantisation: ONNX ``DynamicQuantizeLinear``, row by row.
"""

import numpy as np

from pipeline.adapters.moonshine_weights import ROTARY, WIDTH, Linear, Weights
from pipeline.adapters.onnx_graph import OnnxGraph

_LAYERS, _HEADS, _HEAD, _INNER = 6, 8, 36, 1152
_VOCABULARY = 32_768
_MICROSOFT = "com.microsoft"


def caches() -> list[str]:
    """What the caches of the tokens so far are called, behind ``past.`` and ``present.``."""
    return [f"{layer}.{kind}" for layer in range(_LAYERS) for kind in ("key", "value")]


def crossings() -> list[str]:
    """What the encoder's keys and values are called."""
    return [f"crossed.{cache}" for cache in caches()]


class GraphBuilder:
    """The two graphs, part by part. Tensors are matrices with one row a token, except around attention."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._graph = OnnxGraph()

    def crossing(self) -> bytes:
        """Encoder output (frames, 288) to the keys and values of every layer's attention to it, (8, frames, 36)."""
        graph = self._graph
        hidden = graph.take("hidden", np.float32, ["frames", WIDTH])
        quantised, scale, zero = graph.nodes("DynamicQuantizeLinear", [hidden], ["quantised", "scale", "zero"])
        for name in crossings():
            layer, kind = name.split(".")[1:]
            one = self._weights.linear(f"layers.{layer}/encoder_attn/{kind[0]}_proj/MatMul_output_0")
            weights = [graph.constant(one.name, one.weights), graph.constant(f"{one.name}.s", one.scales)]
            inputs = [quantised, weights[0], scale, weights[1], zero, graph.constant(f"{one.name}.z", one.zeros)]
            made = self._heads(graph.node("MatMulIntegerToFloat", inputs, domain=_MICROSOFT), out=name)
            graph.give(made, np.float32, [_HEADS, "frames", _HEAD])
        return graph.model()

    def passing(self) -> bytes:
        """Embedded tokens (rows, 288) at ``positions`` to logits (rows, 32768), with caches of ``room`` positions."""
        graph = self._graph
        x = graph.take("embedded", np.float32, ["rows", WIDTH])
        positions = graph.take("positions", np.int64, ["rows", 1])
        mask = graph.take("mask", np.float32, ["rows", "room"])
        for layer in range(_LAYERS):
            x = self._add_own(x, layer, positions, mask)
            x = self._add_crossed(x, layer)
            x = self._add_inner(x, layer)
        logits = self._linear(self._norm(x, "norm"), self._weights.linear("logits"), out="logits")
        graph.give(logits, np.float32, ["rows", _VOCABULARY])
        return graph.model()

    def _add_own(self, x: str, layer: int, positions: str, mask: str) -> str:
        """Attention to the tokens so far; writes their keys and values into the caches."""
        graph, at = self._graph, f"layers.{layer}"
        normed = self._norm(x, f"{at}.input_layernorm")
        fused = self._weights.linear(*(f"{at}/self_attn/{one}_proj/MatMul_output_0" for one in "qkv"))
        parts = [f"{at}.{one}" for one in "qkv"]
        thirds = graph.constant("thirds", np.array([WIDTH] * 3, np.int64))
        query, key, value = graph.nodes("Split", [self._linear(normed, fused), thirds], parts, axis=1)
        query, key = self._rotated(query, positions), self._rotated(key, positions)
        heads = []
        for kind, made in (("key", key), ("value", value)):
            cache = graph.take(f"past.{layer}.{kind}", np.float32, ["room", WIDTH])
            written = graph.node("ScatterND", [cache, positions, made], out=f"present.{layer}.{kind}")
            graph.give(written, np.float32, ["room", WIDTH])
            heads.append(self._heads(written))
        attended = self._attended(query, heads[0], heads[1], mask)
        product = self._weights.linear(f"{at}/self_attn/o_proj/MatMul_output_0")
        return graph.node("Add", [x, self._linear(attended, product)])

    def _add_crossed(self, x: str, layer: int) -> str:
        """Attention to the encoder's output."""
        graph, at = self._graph, f"layers.{layer}"
        normed = self._norm(x, f"{at}.post_attention_layernorm")
        query = self._linear(normed, self._weights.linear(f"{at}/encoder_attn/q_proj/MatMul_output_0"))
        shape = (_HEADS, "frames", _HEAD)
        key, value = (graph.take(f"crossed.{layer}.{kind}", np.float32, shape) for kind in ("key", "value"))
        product = self._weights.linear(f"{at}/encoder_attn/o_proj/MatMul_output_0")
        return graph.node("Add", [x, self._linear(self._attended(query, key, value), product)])

    def _add_inner(self, x: str, layer: int) -> str:
        """The gated MLP."""
        graph, at = self._graph, f"layers.{layer}"
        first, second = (self._weights.linear(f"{at}/mlp/{one}/Add_output_0") for one in ("fc1", "fc2"))
        halves = graph.constant("halves", np.array([_INNER] * 2, np.int64))
        wide = self._linear(self._norm(x, f"{at}.final_layernorm"), first)
        up, gate = graph.nodes("Split", [wide, halves], [f"{at}.up", f"{at}.gate"], axis=1)
        gated = graph.node("Mul", [graph.node("QuickGelu", [gate], domain=_MICROSOFT, alpha=1.0), up])
        return graph.node("Add", [x, self._linear(gated, second)])

    def _norm(self, x: str, name: str) -> str:
        weights = self._graph.constant(name, self._weights.norm(name))
        return self._graph.node("LayerNormalization", [x, weights], axis=-1, epsilon=1e-5)

    def _rotated(self, x: str, positions: str) -> str:
        graph, angles = self._graph, self._weights.angles()
        first = graph.constant("first", np.array([0], np.int64))
        at = graph.node("Reshape", [positions, graph.constant("flat", np.array([1, -1], np.int64))])
        tables = [graph.constant("cosines", np.cos(angles)), graph.constant("sines", np.sin(angles))]
        turned = graph.node(
            "RotaryEmbedding",
            [graph.node("Unsqueeze", [x, first]), at, *tables],
            domain=_MICROSOFT,
            interleaved=1,
            num_heads=_HEADS,
            rotary_embedding_dim=ROTARY,
        )
        return graph.node("Squeeze", [turned, first])

    def _heads(self, x: str, *, out: str = "") -> str:
        shape = self._graph.constant("heads", np.array([-1, _HEADS, _HEAD], np.int64))
        return self._graph.node("Transpose", [self._graph.node("Reshape", [x, shape])], out=out, perm=(1, 0, 2))

    def _attended(self, query: str, key: str, value: str, mask: str = "") -> str:
        graph = self._graph
        scores = graph.node(
            "FusedMatMul", [self._heads(query), key], domain=_MICROSOFT, transB=1, alpha=float(_HEAD**-0.5)
        )
        if mask:
            scores = graph.node("Add", [scores, mask])
        mixed = graph.node("MatMul", [graph.node("Softmax", [scores], axis=-1), value])
        rows = graph.constant("rows", np.array([-1, WIDTH], np.int64))
        return graph.node("Reshape", [graph.node("Transpose", [mixed], perm=(1, 0, 2)), rows])

    def _linear(self, x: str, linear: Linear, *, out: str = "") -> str:
        """The product of rows, each quantised by itself, with quantised weights.

        The kernels take one zero point for all rows, so zero points are left out and their share is taken off: exact,
        as long as the sums fit the 24 bits of a float's mantissa; the longer rows of the MLP stay whole numbers.
        """
        graph, name = self._graph, linear.name
        quantised, scale, zero = self._quantised(x)
        weights, zeros = graph.constant(name, linear.weights), graph.constant(f"{name}.z", linear.zeros)
        if linear.weights.shape[0] == WIDTH:
            one, sums = graph.constant("one", np.array(1, np.float32)), linear.sums.astype(np.float32)
            product = graph.node("MatMulIntegerToFloat", [quantised, weights, one, one, "", zeros], domain=_MICROSOFT)
            share = graph.node("Mul", [zero, graph.constant(f"{name}.sums", sums)])
            product = graph.node("Sub", [product, share])
        else:
            product = graph.node("MatMulInteger", [quantised, weights, "", zeros])
            whole = graph.node("Cast", [zero], to=6)
            share = graph.node("Mul", [whole, graph.constant(f"{name}.sums", linear.sums)])
            product = graph.node("Cast", [graph.node("Sub", [product, share])], to=1)
        scales = graph.node("Mul", [scale, graph.constant(f"{name}.s", linear.scales)])
        if linear.bias is None:
            return graph.node("Mul", [product, scales], out=out)
        bias = graph.constant(f"{name}.b", linear.bias)
        return graph.node("Add", [graph.node("Mul", [product, scales]), bias], out=out)

    def _quantised(self, x: str) -> tuple[str, str, str]:
        """Rows as uint8, and scale and zero point of each, float32 (rows, 1): ``DynamicQuantizeLinear``, row by row."""
        graph = self._graph
        nothing = graph.constant("nothing", np.array(0, np.float32))
        steps = graph.constant("steps", np.array(255, np.float32))
        column = graph.constant("column", np.array([1], np.int64))
        high = graph.node("Max", [graph.node("ReduceMax", [x], axes=(1,), keepdims=0), nothing])
        low = graph.node("Min", [graph.node("ReduceMin", [x], axes=(1,), keepdims=0), nothing])
        scale = graph.node("Div", [graph.node("Sub", [high, low]), steps])
        zero = graph.node("Round", [graph.node("Div", [low, graph.node("Neg", [scale])])])
        quantised = graph.node("QuantizeLinear", [x, scale, graph.node("Cast", [zero], to=2)], axis=0)
        return quantised, graph.node("Unsqueeze", [scale, column]), graph.node("Unsqueeze", [zero, column])
