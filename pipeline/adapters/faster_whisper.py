"""Speech to text by Whisper on ctranslate2, for whoever has the weights: a local folder or a model of the hub.

Source of the required files and of the decoding options: faster-whisper 1.2 (``WhisperModel``).
"""

import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from pipeline.adapters.workers import WorkerThreads
from pipeline.ports import Transcription
from voicegate.kernel.audio import Samples
from voicegate.kernel.errors import ConfigError, ProviderError

PROVIDER = "faster-whisper"
_REQUIRED = ("model.bin", "config.json", "tokenizer.json", "preprocessor_config.json")
_VOCABULARIES = ("vocabulary.json", "vocabulary.txt")


@dataclass(frozen=True, slots=True)
class FasterWhisperConfig:
    model: str
    """A folder with a converted model, or the name of one on the hub, such as ``small.en``."""
    language: str = "en"
    device: str = "cpu"
    compute_type: str = "int8"
    workers: int = 1
    """Segments decoded at the same time."""
    threads_per_worker: int = 1
    download: bool = False
    """Whether a model that is named and not in the local cache may be downloaded."""
    no_speech_threshold: float = 0.6


def check_folder(folder: Path) -> None:
    """Make sure that loading ``folder`` needs no network: without its tokenizer, one would be fetched.

    Raises:
        ConfigError: names the files that are missing.
    """
    missing = [name for name in _REQUIRED if not (folder / name).is_file()]
    if not any((folder / name).is_file() for name in _VOCABULARIES):
        missing.append(" or ".join(_VOCABULARIES))
    if missing:
        raise ConfigError(f"Whisper model folder {folder} lacks {', '.join(missing)}")


class FasterWhisperTranscriber:
    """A :class:`~pipeline.ports.SegmentTranscriber`; ``async with`` loads and closes it.

    Greedy (beam 1, temperature 0), every segment by itself. Confidence is the mean log-probability of all tokens.
    """

    provider = PROVIDER

    def __init__(self, config: FasterWhisperConfig) -> None:
        self._config = config
        self._workers: WorkerThreads | None = None
        self._model: Any = None

    async def open(self) -> None:
        """Load the model in a worker thread.

        Raises:
            ConfigError: the folder lacks files, or the model cannot be loaded.
        """
        self._workers = WorkerThreads(PROVIDER, self._config.workers)
        try:
            self._model = await self._workers.run(self._load)
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """Stop running decodes after their current 30 s window and end the worker threads."""
        workers, self._workers, self._model = self._workers, None, None
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
        """Transcribe one segment, 16 kHz mono int16. It has no use for a draft, and interims are as good as others.

        Raises:
            ProviderError: closed, or ctranslate2 failed.
        """
        workers, model = self._workers, self._model
        if workers is None or model is None:
            raise ProviderError(PROVIDER, "the engine is not open", retryable=False)
        try:
            return await workers.run(lambda stop: self._transcribed(model, samples, stop))
        except (RuntimeError, ValueError) as error:  # ctranslate2's errors and a closed executor
            raise ProviderError(PROVIDER, str(error), retryable=True) from error

    def _load(self, stop: threading.Event) -> Any:
        # Imported here, in the worker thread: it takes a second and the event loop may be serving calls.
        from faster_whisper import WhisperModel

        folder = Path(self._config.model)
        if folder.is_dir():
            check_folder(folder)
        try:
            return WhisperModel(
                self._config.model,
                device=self._config.device,
                compute_type=self._config.compute_type,
                cpu_threads=self._config.threads_per_worker,
                num_workers=self._config.workers,
                local_files_only=not self._config.download,
            )
        except Exception as error:  # the hub, tokenizers and ctranslate2 have no common root
            raise ConfigError(f"Whisper model {self._config.model!r} cannot be loaded: {error}") from error

    def _transcribed(self, model: Any, samples: Samples, stop: threading.Event) -> Transcription:
        """The whole loop over the lazy segments: the work happens while iterating."""
        segments, _ = model.transcribe(
            samples.astype(np.float32) / np.float32(32768),
            language=self._config.language,
            beam_size=1,
            temperature=0.0,
            condition_on_previous_text=False,
            without_timestamps=True,
            no_speech_threshold=self._config.no_speech_threshold,
        )
        texts: list[str] = []
        weighted, tokens = 0.0, 0
        for segment in segments:
            if stop.is_set():
                break
            texts.append(segment.text.strip())
            weighted += segment.avg_logprob * len(segment.tokens)
            tokens += len(segment.tokens)
        return Transcription(" ".join(filter(None, texts)), weighted / tokens if tokens else None)
