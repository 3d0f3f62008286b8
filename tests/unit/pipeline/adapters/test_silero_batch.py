"""The transform is numpy's, whichever way it is reached."""

import numpy as np
import pytest

from pipeline.adapters.silero_batch import KERNEL, rfft
from pipeline.adapters.silero_weights import BINS, FFT_SAMPLES


@pytest.mark.parametrize("kernel", [KERNEL, None], ids=["kernel", "public function"])
def test_spectra_are_those_of_numpy(kernel: np.ufunc | None) -> None:
    frames = np.random.default_rng(0).normal(size=(3, 4, FFT_SAMPLES)).astype(np.float32)
    spectra = np.empty((4, 3, BINS), np.complex64)
    rfft(frames.swapaxes(0, 1), spectra, kernel)
    assert np.abs(spectra - np.fft.rfft(frames.astype(np.float64), axis=2).swapaxes(0, 1)).max() < 1e-4


def test_this_numpy_has_the_kernel() -> None:
    assert KERNEL is not None, "works without, and every batch costs a tenth more: see where numpy has it now"
    assert "ff->F" in KERNEL.types
