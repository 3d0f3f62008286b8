"""Moonshine's decoder at work: passes of tokens over a segment that the encoder has heard. Blocking and thread-safe."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from pipeline.adapters.moonshine_graph import GraphBuilder, caches, crossings
from pipeline.adapters.moonshine_weights import WIDTH, Weights
from pipeline.adapters.ort_format import OrtContent
from voicegate.kernel.errors import ConfigError

FloatArray = npt.NDArray[np.float32]
Arrays = dict[str, npt.NDArray[np.generic]]


@dataclass(slots=True)
class Segment:
    """One segment on its way through the decoder: what was heard, and the caches of the tokens so far."""

    heard: Arrays
    room: int
    """Positions the caches have."""
    past: Arrays
    options: onnxruntime.RunOptions | None


class MoonshineDecoder:
    """The decoder's graphs, made when loading (half a second) out of the shipped weights. See ``moonshine_graph``."""

    def __init__(self, file: Path, options: onnxruntime.SessionOptions) -> None:
        """Raises:
        ConfigError: the file is not the decoder of Moonshine tiny as it came in moonshine-voice 0.1.0.
        """
        try:
            weights = Weights(OrtContent.read(file.read_bytes()))
            crossing, passing = GraphBuilder(weights).crossing(), GraphBuilder(weights).passing()
        except (KeyError, ValueError, StopIteration) as error:
            raise ConfigError(f"{file} is not the decoder of Moonshine tiny: {error}") from error
        providers = ["CPUExecutionProvider"]
        self._crossing = onnxruntime.InferenceSession(crossing, options, providers=providers)
        self._passing = onnxruntime.InferenceSession(passing, options, providers=providers)
        embedding, scale, zero = weights.embedding()
        self._embedding = np.array(embedding)  # a copy: the file's bytes can go
        self._scale, self._zero = np.float32(scale), np.int32(zero)
        self._crossed = crossings()
        self._caches = caches()
        self._made = ["logits", *(f"present.{cache}" for cache in self._caches)]

    def begin(self, hidden: FloatArray, room: int, options: onnxruntime.RunOptions | None = None) -> Segment:
        """Take the encoder's output, (frames, 288), and make room for so many positions.

        ``options`` go with every run of a graph for this segment.
        """
        heard = self._crossing.run(self._crossed, {"hidden": hidden}, options)
        past: Arrays = {f"past.{cache}": np.zeros((room, WIDTH), np.float32) for cache in self._caches}
        return Segment(dict(zip(self._crossed, heard, strict=True)), room, past, options)

    def advance(self, segment: Segment, tokens: Sequence[int], at: int) -> FloatArray:
        """Put two tokens or more at the positions from ``at`` on; logits of what follows each, (tokens, 32768).

        What stood there and behind is forgotten. Each row depends only on its own token and those before it, to the
        last bit, so rows behind a token that turns out wrong are simply not read.
        """
        positions = np.arange(at, at + len(tokens), dtype=np.int64)[:, np.newaxis]
        ahead = np.arange(segment.room) > positions
        feed = {
            "embedded": (self._embedding[list(tokens)].astype(np.int32) - self._zero).astype(np.float32) * self._scale,
            "positions": positions,
            "mask": np.where(ahead, np.float32("-inf"), np.float32(0)),
        }
        logits, *present = self._passing.run(self._made, feed | segment.heard | segment.past, segment.options)
        segment.past = dict(zip(segment.past, present, strict=True))
        return np.asarray(logits, np.float32)
