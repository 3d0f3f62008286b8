"""Speech to text without any key: Moonshine tiny-en in worker threads, gated against its own hallucinations.

Measured on one core over fifteen clips of read and spontaneous English (see ``benchmarks/stt.py``): the padding and
the gain below halve the word error rate, because the model was trained on utterances with quiet around them.
"""

import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import onnxruntime

from pipeline.adapters.moonshine_model import Decoded, FloatArray, MoonshineModel, weights_folder
from pipeline.adapters.precedence import Precedence
from pipeline.adapters.workers import WorkerThreads
from pipeline.ports import Transcription
from voicegate.kernel.audio import PIPELINE_RATE_HZ, Samples
from voicegate.kernel.errors import ProviderError

PROVIDER = "moonshine"
_FIRST_FOREIGN = "\u0250"
"""First character behind the Latin letters of Unicode (IPA follows): names like "Zoë" pass, Arabic does not."""


@dataclass(frozen=True, slots=True)
class MoonshineConfig:
    folder: Path | None = None
    """Folder with encoder_model.ort, decoder_model_merged.ort and tokenizer.bin; None: the one in the wheel."""
    workers: int = 2
    """Segments decoded at the same time."""
    intra_op_threads: int = 1
    padding_s: float = 0.2
    """Silence put before and after the segment. Without it words appear behind a tight end."""
    peak: float = 0.5
    """The segment's loudest sample is brought to this (full scale is 1) ..."""
    max_gain: float = 20.0
    """... by at most this factor."""
    silence_peak: float = 0.001
    """A segment whose loudest sample stays below this (-60 dBFS) is not decoded at all."""
    max_tokens_per_s: float = 6.5
    """Fluent English needs about 4; more is a runaway decoder."""
    extra_tokens: int = 8
    floor_log_probability: float = -0.95
    """Below this mean token log-probability nothing was understood. Clean speech has a median of -0.08, single words
    of synthetic voices reach -0.85, tones and hiss start at -0.96."""
    phantoms: tuple[str, ...] = ("thank you", "thank you for watching", "thanks for watching")
    """What the model says to noise ..."""
    phantom_log_probability: float = -0.29
    """... and how sure it must be to be believed. People: -0.06 to -0.27; noise of 2 to 5 s: -0.31 to -0.73."""
    short_s: float = 2.0
    short_phantom_log_probability: float = -0.44
    """The same for segments shorter than ``short_s``. A tightly cut "thank you" has -0.41, and 1 s of noise says
    something else."""
    bare_phantoms: tuple[str, ...] = ("you",)
    """What it says to short noises, however sure (-0.04): there without the punctuation that a spoken "you" gets."""


class MoonshineTranscriber:
    """A :class:`~pipeline.ports.SegmentTranscriber`; ``async with`` loads, warms up and closes it.

    English only, 16 kHz mono int16. A segment that holds no speech gives ``text=""`` with the confidence it had.
    """

    provider = PROVIDER

    def __init__(self, config: MoonshineConfig | None = None) -> None:
        self._config = config or MoonshineConfig()
        self._workers: WorkerThreads | None = None
        self._calls: Precedence | None = None
        self._model: MoonshineModel | None = None

    async def open(self) -> None:
        """Load the weights and run one second of silence through them, in a worker thread.

        Raises:
            ConfigError: the weights are missing.
        """
        self._workers = WorkerThreads(PROVIDER, self._config.workers)
        self._calls = Precedence(PROVIDER, self._workers, self._config.workers)
        try:
            self._model = await self._workers.run(self._load)
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """Stop running decodes and end the worker threads. Calling it twice does nothing more."""
        workers, self._workers, self._calls, self._model = self._workers, None, None, None
        if workers is not None:
            await workers.aclose()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def transcribe(
        self, samples: Samples, *, draft: Transcription | None = None, interim: bool = False
    ) -> Transcription:
        """Transcribe one segment, 16 kHz mono int16. A draft saves most of the decoder's time and changes nothing.

        Raises:
            EngineBusy: an interim found no free worker, or had to give its own to a call that cannot wait.
            ProviderError: closed, or onnxruntime failed.
        """
        calls, model = self._calls, self._model
        if calls is None or model is None:
            raise ProviderError(PROVIDER, "the engine is not open", retryable=False)
        audio = self._prepared(samples)
        if audio is None:
            return Transcription("")
        try:
            decoded = await calls.run(self._decoding(model, audio, draft.tokens if draft else ()), interim=interim)
        except RuntimeError as error:  # onnxruntime's errors and a closed executor
            raise ProviderError(PROVIDER, str(error), retryable=True) from error
        return gated(decoded, self._config, speech_s=samples.size / PIPELINE_RATE_HZ)

    def _decoding(
        self, model: MoonshineModel, audio: FloatArray, draft: Sequence[int]
    ) -> Callable[[threading.Event, onnxruntime.RunOptions], Decoded]:
        speech_s = audio.size / PIPELINE_RATE_HZ - 2 * self._config.padding_s
        max_tokens = int(speech_s * self._config.max_tokens_per_s) + self._config.extra_tokens
        return lambda stop, options: model.decode(audio, max_tokens=max_tokens, stop=stop, draft=draft, options=options)

    def _load(self, stop: threading.Event) -> MoonshineModel:
        model = MoonshineModel(self._config.folder or weights_folder(), intra_op_threads=self._config.intra_op_threads)
        model.decode(np.zeros(PIPELINE_RATE_HZ, np.float32), max_tokens=3, stop=stop)
        return model

    def _prepared(self, samples: Samples) -> FloatArray | None:
        """Float32 in -1..1 with level and padding as configured; None where there is nothing to hear."""
        audio = samples.astype(np.float32) / 32768
        peak = float(np.abs(audio).max(initial=0.0))
        if peak < self._config.silence_peak:
            return None
        gain = min(self._config.peak / peak, self._config.max_gain)
        return np.pad(audio * np.float32(gain), round(self._config.padding_s * PIPELINE_RATE_HZ))


def gated(decoded: Decoded, config: MoonshineConfig, *, speech_s: float) -> Transcription:
    """The transcription, with empty text where the model only dreamt: stock phrases, notes of music, foreign script,
    the same few tokens over and over, or anything it was very unsure of."""
    confidence = float(np.mean(decoded.log_probabilities)) if decoded.log_probabilities else None
    letters = [character for character in decoded.text if character.isalpha()]
    words = " ".join(re.findall(r"[^\W_]+", decoded.text.lower()))
    believed = config.short_phantom_log_probability if speech_s < config.short_s else config.phantom_log_probability
    dreamt = (
        not words
        or not all(letter < _FIRST_FOREIGN for letter in letters)
        or decoded.repeats_only
        or confidence is None
        or confidence < config.floor_log_probability
        or (words in config.phantoms and confidence < believed)
        or decoded.text.lower() in config.bare_phantoms
    )
    if dreamt:
        return Transcription("", confidence, 0.0, decoded.tokens)
    return Transcription(decoded.text, confidence, decoded.end_probability, decoded.tokens)
