"""Voice activity by Silero, one ONNX call for all sessions of the process.

Windows that become ready while a call runs go into the next one. With several detectors open the first window waits a
few milliseconds for the others, because a batch of 64 costs less than half of 64 calls. No task and no lock: a push
schedules a call in the one worker thread, its end delivers the probabilities on the event loop.
"""

import asyncio
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from pipeline.adapters.silero_model import (
    CONTEXT_SAMPLES,
    STATE_SIZE,
    WINDOW_SAMPLES,
    FloatArray,
    SileroModel,
    bundled_model,
)
from pipeline.ports import OnProbability
from voicegate.kernel.audio import Frame, Samples
from voicegate.kernel.errors import ProviderError

PROVIDER = "silero"

_Outcome = tuple[list[float], FloatArray, FloatArray]
_States = list[tuple[FloatArray, FloatArray]]


@dataclass(frozen=True, slots=True)
class SileroConfig:
    path: Path | None = None
    """The ONNX file; None: the one in faster-whisper."""
    coalesce_s: float = 0.003
    """How long the first window of a batch waits for those of other detectors."""
    inline_windows: int = 8
    """Largest batch that is inferred on the loop itself: half a millisecond. Larger ones go to the worker thread."""
    backlog_windows: int = 64
    """Windows a detector may have waiting (2 s); beyond that its oldest is lost."""


class SileroDetector:
    """One stream: its samples until they make a window, and the LSTM's state."""

    def __init__(self, activity: "SileroVoiceActivity", on_probability: OnProbability, backlog_windows: int) -> None:
        self.on_probability = on_probability
        self.h: FloatArray = np.zeros(STATE_SIZE, np.float32)
        self.c: FloatArray = np.zeros(STATE_SIZE, np.float32)
        self.closed = False
        self.windows: deque[tuple[int, Samples]] = deque(maxlen=backlog_windows)
        self._activity = activity
        self._rest: Samples = np.zeros(CONTEXT_SAMPLES, np.int16)
        self._end_sample = 0

    def push(self, frame: Frame) -> None:
        if self.closed:
            return
        samples = np.concatenate((self._rest, frame))
        while samples.size >= CONTEXT_SAMPLES + WINDOW_SAMPLES:
            self._end_sample += WINDOW_SAMPLES
            self.windows.append((self._end_sample, samples[: CONTEXT_SAMPLES + WINDOW_SAMPLES]))
            samples = samples[WINDOW_SAMPLES:]
        self._rest = samples
        if self.windows:
            self._activity.wake()

    def close(self) -> None:
        self.closed = True
        self.windows.clear()
        self._activity.forget(self)


class SileroVoiceActivity:
    """The :class:`~pipeline.ports.VoiceActivity` of a process; ``async with`` loads and closes it.

    Windows of 512 samples at 16 kHz. A window whose inference failed is reported to the loop's exception handler and
    gives no probability; the streams go on.
    """

    provider = PROVIDER

    def __init__(self, config: SileroConfig | None = None) -> None:
        self._config = config or SileroConfig()
        self._detectors: dict[SileroDetector, None] = {}
        self._executor: ThreadPoolExecutor | None = None
        self._model: SileroModel | None = None
        self._busy = False
        self._timer: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Load the graph in the worker thread.

        Raises:
            ConfigError: the file is missing or not the graph this adapter knows.
        """
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=PROVIDER)
        self._loop = asyncio.get_running_loop()
        try:
            self._model = await self._loop.run_in_executor(self._executor, _load, self._config.path)
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """Close every detector and end the thread."""
        for detector in list(self._detectors):
            detector.close()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        executor, self._executor, self._model = self._executor, None, None
        if executor is not None:
            await asyncio.to_thread(executor.shutdown, wait=True, cancel_futures=True)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def open(self, on_probability: OnProbability) -> SileroDetector:
        """A new stream.

        Raises:
            ProviderError: not started, or closed.
        """
        if self._model is None:
            raise ProviderError(PROVIDER, "voice activity is not started", retryable=False)
        detector = SileroDetector(self, on_probability, self._config.backlog_windows)
        self._detectors[detector] = None
        return detector

    def forget(self, detector: SileroDetector) -> None:
        self._detectors.pop(detector, None)

    def wake(self) -> None:
        """A detector has a window. Start a call, unless one is running or about to start."""
        if self._busy:
            return
        self._busy = True
        alone = len(self._detectors) == 1
        self._timer = self._loop.call_later(0 if alone else self._config.coalesce_s, self._run_batch)

    def _run_batch(self) -> None:
        """Take one window of every detector that has one: two of the same stream follow one another."""
        self._timer = None
        ready = [detector for detector in self._detectors if detector.windows]
        if not ready or self._executor is None or self._model is None:
            self._busy = False
            return
        ends, windows = zip(*(detector.windows.popleft() for detector in ready), strict=True)
        states = [(detector.h, detector.c) for detector in ready]
        if len(ready) <= self._config.inline_windows:
            self._infer_here(ready, ends, windows, states)
            return
        call = self._loop.run_in_executor(self._executor, _infer, self._model, windows, states)
        call.add_done_callback(lambda done: self._deliver(ready, ends, done))

    def _infer_here(
        self, ready: list[SileroDetector], ends: tuple[int, ...], windows: tuple[Samples, ...], states: _States
    ) -> None:
        """A small batch costs the loop less than handing it to a thread and back; the next one waits for its turn."""
        try:
            assert self._model is not None
            self._take(ready, ends, _infer(self._model, windows, states))
        finally:
            self._timer = self._loop.call_later(0, self._run_batch)

    def _deliver(self, ready: list[SileroDetector], ends: tuple[int, ...], call: "asyncio.Future[_Outcome]") -> None:
        try:
            if not call.cancelled():
                self._take(ready, ends, call.result())
        finally:
            self._run_batch()

    def _take(self, ready: list[SileroDetector], ends: tuple[int, ...], outcome: _Outcome) -> None:
        probabilities, h, c = outcome
        for i, detector in enumerate(ready):
            if not detector.closed:  # a callback before this one may have closed it
                detector.h, detector.c = h[i], c[i]
                self._tell(detector, probabilities[i], ends[i])

    def _tell(self, detector: SileroDetector, probability: float, end_sample: int) -> None:
        try:
            detector.on_probability(probability, end_sample)
        except Exception as error:  # one session's fault must not silence the others of the batch
            context = {"message": "a voice activity callback failed", "exception": error}
            self._loop.call_exception_handler(context)


def _load(path: Path | None) -> SileroModel:
    return SileroModel(path or bundled_model())


def _infer(model: SileroModel, windows: tuple[Samples, ...], states: _States) -> _Outcome:
    batch: FloatArray = np.stack(windows).astype(np.float32) / np.float32(32768)
    probabilities, h, c = model.run(batch, np.stack([s[0] for s in states]), np.stack([s[1] for s in states]))
    return [float(p) for p in probabilities], h, c
