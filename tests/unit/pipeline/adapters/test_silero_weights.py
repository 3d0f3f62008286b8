"""The weights are found in the bundled file, and another file is refused."""

import numpy as np
import pytest

from pipeline.adapters.silero_weights import Field, bundled_model, fields, weights


def test_protobuf_fields_are_found_whatever_their_type() -> None:
    parts = [Field(1, 0, b"\x96\x01"), Field(200, 2, b"x" * 300), Field(3, 5, b"abcd"), Field(4, 1, b"12345678")]
    wire = b"\x08\x96\x01" + b"\xc2\x0c\xac\x02" + b"x" * 300 + b"\x1dabcd" + b"!12345678"
    assert list(fields(wire)) == parts


@pytest.mark.parametrize("data", [b"\x0a\x05ab", b"\x0b", b"\x0a"], ids=["cut", "wire type 3", "no length"])
def test_broken_protobuf_is_refused(data: bytes) -> None:
    with pytest.raises((ValueError, IndexError)):
        list(fields(data))


def test_a_changed_weight_a_missing_tensor_and_another_spectrum_are_seen() -> None:
    bundled = bundled_model().read_bytes()
    assert weights(bundled)["decoder.conv1d.bias"].shape == (1,)
    name = "encoder.conv_layers.3.weight"
    with pytest.raises(ValueError, match=r"conv_layers\.3\.weight.*inside"):
        weights(bundled.replace(name.encode(), b"encoder.conv_layers.3.heavy!"[: len(name)]))
    basis = weights(bundled)["encoder.feature_extractor.forward_basis_buffer"]
    raw = basis.astype("<f4").tobytes()
    with pytest.raises(ValueError, match="spectrum"):
        weights(bundled.replace(raw, (basis * np.float32(1.01)).astype("<f4").tobytes()))


def test_another_shape_is_seen() -> None:
    bundled = bundled_model().read_bytes()
    shaped = b"\x08\x80\x01\x08@\x08\x03"  # 128, 64, 3
    assert bundled.count(shaped) == 1
    with pytest.raises(ValueError, match=r"shape \(128, 65, 3\)"):
        weights(bundled.replace(shaped, b"\x08\x80\x01\x08A\x08\x03"))
