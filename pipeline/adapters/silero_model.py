"""Silero VAD's arithmetic for many sessions in one call, on numpy.

The network is small (a spectrum, four convolutions, one LSTM step), and a runtime for graphs spends most of its time on
it badly: it takes one stream's windows at a time through convolutions four frames long, and multiplies by a Fourier
matrix. Here a layer is one matrix product for all sessions, in a form that is cheap to multiply by
(:mod:`~pipeline.adapters.silero_layers`), and the spectrum a real FFT (:mod:`~pipeline.adapters.silero_batch`).

The products are too small for several threads to pay, and spinning threads would steal the loop's core: numpy's BLAS
works with one thread from the first :class:`SileroModel` on.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy.typing as npt
from threadpoolctl import threadpool_limits

from pipeline.adapters.silero_batch import Batch, Room
from pipeline.adapters.silero_layers import USUAL_WINDOWS, layers
from pipeline.adapters.silero_weights import (
    CONTEXT_SAMPLES,
    INPUT_SAMPLES,
    STATE_SIZE,
    WINDOW_SAMPLES,
    FloatArray,
    bundled_model,
    weights,
)
from voicegate.kernel.errors import ConfigError

__all__ = [
    "CONTEXT_SAMPLES",
    "INPUT_SAMPLES",
    "STATE_SIZE",
    "WINDOW_SAMPLES",
    "FloatArray",
    "SileroModel",
    "bundled_model",
]


@lru_cache(maxsize=1)
def _one_blas_thread() -> object:
    """For the process's life."""
    return threadpool_limits(limits=1, user_api="blas")


class SileroModel:
    """Any number of streams in one call. Blocking, and one call at a time; 16 kHz."""

    def __init__(self, path: Path) -> None:
        """Raises:
        ConfigError: the file is missing or not the network this knows.
        """
        try:
            tensors = weights(path.read_bytes())
        except (ValueError, IndexError, OSError) as error:
            raise ConfigError(f"Silero VAD: {path} is not the expected graph: {error}") from error
        _one_blas_thread()
        self._layers = layers(tensors)
        self._room = Room(USUAL_WINDOWS)
        self._batches: dict[int, Batch] = {}

    def run(self, windows: npt.NDArray[Any], h: FloatArray, c: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Speech probabilities, shape (n,), and new states, shape (n, 128) each, of one window of each of n streams.

        ``windows``: int16, or float32 in -1..1, shape (n, 576): the 64 samples before, then 512 new ones. ``h``,
        ``c``: float32, the streams' states, shape (n, 128), zero at a stream's beginning.
        """
        batch = self._batches.get(len(windows)) or self._prepare(len(windows))
        batch.find_magnitudes(windows)
        batch.encode()
        return batch.step(h, c)

    def _prepare(self, n: int) -> Batch:
        if n > self._room.windows:
            self._room = Room(n)
            self._batches.clear()  # they would keep the smaller room
        batch = self._batches[n] = Batch(self._layers, self._room, n)
        return batch
