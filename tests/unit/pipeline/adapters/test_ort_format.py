"""Constants and the origin of tensors, out of files that onnxruntime wrote itself."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from pipeline.adapters.moonshine_model import weights_folder
from pipeline.adapters.onnx_graph import OnnxGraph
from pipeline.adapters.ort_format import Array, OrtContent


def saved(graph: OnnxGraph, file: Path) -> bytes:
    """The graph as onnxruntime saves it in its own format."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(file)
    options.add_session_config_entry("session.save_model_format", "ORT")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    onnxruntime.InferenceSession(graph.model(), options, providers=["CPUExecutionProvider"])
    return file.read_bytes()


def test_constants_keep_type_shape_and_values(tmp_path: Path) -> None:
    constants: dict[str, Array] = {
        "floats": np.linspace(0, 1, 6, dtype=np.float32).reshape(2, 3),
        "bytes": np.arange(3, dtype=np.uint8),
        "counts": np.array(-5, np.int32),
    }
    graph = OnnxGraph()
    x = graph.take("x", np.float32, [2, 3])
    graph.give(graph.node("Add", [x, graph.constant("floats", constants["floats"])], out="sum"), np.float32, [2, 3])
    for name, dtype in (("bytes", np.uint8), ("counts", np.int32)):
        graph.give(graph.node("Identity", [graph.constant(name, constants[name])], out=f"same {name}"), dtype, [])
    content = OrtContent.read(saved(graph, tmp_path / "a.ort"))
    for name, value in constants.items():
        assert content.constants[name].dtype == value.dtype
        assert content.constants[name].shape == value.shape
        assert np.array_equal(content.constants[name], value)
    assert content.sources["sum"] == ("x", "floats")


def test_the_shipped_decoder_is_read_with_the_branches_inside_it() -> None:
    content = OrtContent.read((weights_folder() / "decoder_model_merged.ort").read_bytes())
    assert content.constants["model.decoder.embed_tokens.weight_merged_0_quantized"].shape == (32_768, 288)
    assert content.sources["logits"][0] == "/model/decoder/norm/LayerNormalization_output_0"


@pytest.mark.parametrize("data", [b"", b"\x00" * 64, b"\x08\x00\x00\x00ONNX" + b"\x00" * 64])
def test_other_files_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="ORT format"):
        OrtContent.read(data)
