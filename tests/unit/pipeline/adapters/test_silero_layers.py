"""Layers are the file's, in another form."""

import numpy as np
import pytest

from pipeline.adapters.silero_layers import USUAL_WINDOWS, first_layer, layers, panels
from pipeline.adapters.silero_weights import BINS, bundled_model, hann, weights


def test_panels_lie_side_by_side_and_are_narrow_enough() -> None:
    matrix = np.arange(2 * 200 * 128, dtype=np.float32).reshape(2, 200, 128)
    cut = panels(matrix)
    assert np.array_equal(np.concatenate(list(np.moveaxis(cut, 1, 0)), axis=-1), matrix)
    assert USUAL_WINDOWS * 200 * cut.shape[-1] <= 1_000_000 < USUAL_WINDOWS * 200 * 2 * cut.shape[-1]
    assert cut.flags.c_contiguous


def test_six_products_make_what_the_first_convolution_makes_of_ten() -> None:
    rng = np.random.default_rng(0)
    kernel, bias = rng.normal(size=(128, BINS, 3)).astype(np.float32), rng.normal(size=128).astype(np.float32)
    frames = rng.normal(size=(4, BINS))
    silence = np.zeros((1, BINS))
    around = np.concatenate([silence, frames, silence])
    expected = np.stack([np.tensordot(around[t : t + 3].T, kernel, ((0, 1), (1, 2))) + bias for t in range(4)])
    layer = first_layer(kernel, bias)
    taps = np.concatenate(list(np.moveaxis(layer.taps, 1, 0)), axis=-1)
    six = np.einsum("pk,pkm->pm", layer.frames_at_points @ frames, taps)
    assert np.abs(layer.coefficients @ np.vstack([six, layer.bias]) - expected).max() < 1e-4


def test_the_bundled_file_gives_every_product_a_small_one() -> None:
    found = layers(weights(bundled_model().read_bytes()))
    products = [found.first.taps, found.second_early, found.second_late, found.third, found.fourth, found.gates]
    for k, width in (product.shape[-2:] for product in products):
        assert USUAL_WINDOWS * k * width <= 1_000_000
    assert found.window == pytest.approx(hann(), abs=1e-6)
    assert found.int16_window * 32768 == pytest.approx(found.window)
