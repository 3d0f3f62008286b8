"""What is written is what onnxruntime runs."""

import numpy as np
import onnxruntime
import pytest

from pipeline.adapters.onnx_graph import OnnxGraph


def session(graph: OnnxGraph) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(graph.model(), providers=["CPUExecutionProvider"])


def test_nodes_constants_attributes_and_free_sizes() -> None:
    graph = OnnxGraph()
    x = graph.take("x", np.float32, ["rows", 6])
    thirds = graph.constant("thirds", np.array([2, 4], np.int64))
    left, right = graph.nodes("Split", [x, thirds], ["left", "right"], axis=1)
    graph.give(graph.node("Transpose", [left], out="turned", perm=(1, 0)), np.float32, [2, "rows"])
    graph.give(graph.node("Elu", [right], out="bent", alpha=0.5), np.float32, ["rows", 4])
    data = np.linspace(-3, 3, 18, dtype=np.float32).reshape(3, 6)
    turned, bent = session(graph).run(None, {"x": data})
    assert np.array_equal(turned, data[:, :2].T)
    assert bent == pytest.approx(np.where(data[:, 2:] < 0, 0.5 * np.expm1(data[:, 2:]), data[:, 2:]))


def test_whole_numbers_negative_attributes_text_and_inputs_left_out() -> None:
    graph = OnnxGraph()
    x = graph.take("x", np.uint8, [2, 300])
    weights = graph.constant("weights", np.full((300, 3), 7, np.uint8))
    product = graph.node("MatMulInteger", [x, weights, "", graph.constant("zero", np.array(9, np.uint8))])
    graph.give(graph.node("Softmax", [graph.node("Cast", [product], to=1)], out="shares", axis=-2), np.float32, [2, 3])
    graph.give(graph.node("Identity", [product], out="product"), np.int32, [2, 3])
    padded = graph.node("Pad", [x, graph.constant("by", np.array([0, 0, 1, 0], np.int64))], out="padded", mode="edge")
    graph.give(padded, np.uint8, [3, 300])
    data = np.arange(600, dtype=np.uint8).reshape(2, 300)
    shares, product_got, padded_got = session(graph).run(None, {"x": data})
    assert shares.sum(axis=0) == pytest.approx([1, 1, 1])
    assert np.array_equal(product_got, np.repeat(data.sum(axis=1, dtype=np.int32)[:, None] * -2, 3, axis=1))
    assert np.array_equal(padded_got[2], data[1])


def test_nodes_of_another_domain_and_a_constant_used_twice() -> None:
    graph = OnnxGraph()
    x = graph.take("x", np.float32, [4])
    for _ in range(2):
        two = graph.constant("two", np.array(2, np.float32))
    gelu = graph.node("QuickGelu", [graph.node("Mul", [x, two])], domain="com.microsoft", alpha=1.0)
    graph.give(graph.node("Mul", [gelu, two], out="y"), np.float32, [4])
    data = np.array([-1, 0, 1, 2], np.float32)
    assert session(graph).run(None, {"x": data})[0] == pytest.approx(4 * data / (1 + np.exp(-2 * data)), abs=1e-6)
