"""Voice activity by Silero, one call for all sessions of the process.

Windows that become ready while a call runs go into the next one. With several detectors open the first window waits a
few milliseconds for the others, because a batch of 16 costs a quarter of 16 calls. No task, no lock and no thread: a
push schedules a call on the event loop, and a batch is small enough not to be noticed there.
"""

import asyncio
import itertools
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from pipeline.adapters.silero_model import (
    CONTEXT_SAMPLES,
    INPUT_SAMPLES,
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
_FIRST_SLOTS = 16
_MANY = 64


@dataclass(frozen=True, slots=True)
class SileroConfig:
    path: Path | None = None
    """The ONNX file; None: the one in faster-whisper."""
    coalesce_s: float = 0.002
    """From one batch to the next where detectors are few. A window that comes later than that waits for nobody."""
    coalesce_most_s: float = 0.006
    """The same where they are :data:`_MANY` or more. Between two batches others use the core's cache, and a batch must
    fetch the weights again: the longer ones are, the less often (measured with 100 streams on a busy core: 1.8 ms a
    second of a stream with batches of 20 windows, 1.3 ms with 48)."""
    batch_windows: int = 64
    """Largest batch: a millisecond. What is left goes into the next one, after others had the loop."""
    backlog_windows: int = 64
    """Windows a detector may have waiting (2 s); beyond that its oldest is lost."""


class SileroDetector:
    """One stream: its samples until they make a window, and the slot where the LSTM's state is kept."""

    __slots__ = ("_activity", "_end_sample", "_fill", "_samples", "closed", "on_probability", "slot", "windows")

    def __init__(
        self, activity: "SileroVoiceActivity", on_probability: OnProbability, backlog_windows: int, slot: int
    ) -> None:
        self.on_probability = on_probability
        self.slot = slot
        self.closed = False
        self.windows: deque[tuple[int, Samples]] = deque(maxlen=backlog_windows)
        self._activity = activity
        self._samples: Samples = np.zeros(INPUT_SAMPLES, np.int16)
        self._fill = CONTEXT_SAMPLES
        self._end_sample = 0

    def push(self, frame: Frame) -> None:
        if self.closed:
            return
        samples, fill, size = self._samples, self._fill, frame.size
        if fill + size < INPUT_SAMPLES:
            samples[fill : fill + size] = frame
            self._fill = fill + size
            return
        at = INPUT_SAMPLES - fill
        samples[fill:] = frame[:at]
        self._end_sample += WINDOW_SAMPLES
        self.windows.append((self._end_sample, samples))
        # The window keeps the array it grew in; the next one begins with its end.
        self._samples = following = np.empty(INPUT_SAMPLES, np.int16)
        following[:CONTEXT_SAMPLES] = samples[WINDOW_SAMPLES:]
        rest = size - at
        following[CONTEXT_SAMPLES : CONTEXT_SAMPLES + rest] = frame[at:]
        self._fill = CONTEXT_SAMPLES + rest
        self._activity.wake(self)

    def close(self) -> None:
        if not self.closed:
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
        self._ready: dict[SileroDetector, None] = {}
        self._h: FloatArray = np.zeros((_FIRST_SLOTS, STATE_SIZE), np.float32)
        self._c: FloatArray = np.zeros((_FIRST_SLOTS, STATE_SIZE), np.float32)
        self._free = list(range(_FIRST_SLOTS))
        self._model: SileroModel | None = None
        self._busy = False
        self._timer: asyncio.TimerHandle | None = None
        self._ran_at = 0.0

    async def start(self) -> None:
        """Load the weights, in a thread.

        Raises:
            ConfigError: the file is missing or not the graph this adapter knows.
        """
        self._loop = asyncio.get_running_loop()
        self._model = await asyncio.to_thread(_load, self._config.path)

    async def aclose(self) -> None:
        """Close every detector."""
        for detector in list(self._detectors):
            detector.close()
        if self._timer is not None:
            self._timer.cancel()
            self._timer, self._busy = None, False
        self._model = None

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
        if not self._free:
            self._grow()
        slot = self._free.pop()
        self._h[slot] = self._c[slot] = 0
        detector = SileroDetector(self, on_probability, self._config.backlog_windows, slot)
        self._detectors[detector] = None
        return detector

    def _grow(self) -> None:
        slots = len(self._h)
        empty = np.zeros_like(self._h)
        self._h, self._c = np.concatenate([self._h, empty]), np.concatenate([self._c, empty])
        self._free = list(range(slots, 2 * slots))

    def forget(self, detector: SileroDetector) -> None:
        if detector in self._detectors:
            del self._detectors[detector]
            self._ready.pop(detector, None)
            self._free.append(detector.slot)

    def wake(self, detector: SileroDetector) -> None:
        """A detector has a window. Start a call, unless one is running or about to start."""
        self._ready[detector] = None
        if not self._busy:
            self._begin(self._patience_s())
        elif self._timer is not None and len(self._ready) == self._config.batch_windows:
            self._timer.cancel()
            self._begin(0)  # no larger batch is made

    def _patience_s(self) -> float:
        """How long a first window waits for others: not at all where there are none or the last batch is some time
        ago, and longer the more there are to wait for."""
        detectors, config = len(self._detectors), self._config
        if detectors == 1:
            return 0.0
        between = max(config.coalesce_s, config.coalesce_most_s * min(1.0, detectors / _MANY))
        return max(0.0, self._ran_at + between - self._loop.time())

    def _begin(self, after_s: float) -> None:
        self._busy = True
        self._timer = self._loop.call_later(after_s, self._run_batch)

    def _run_batch(self) -> None:
        """Take one window of every detector that has one: two of the same stream follow one another."""
        self._timer = None
        ready = list(itertools.islice(self._ready, self._config.batch_windows))
        if not ready or self._model is None:
            self._busy = False
            return
        ends, windows = zip(*[detector.windows.popleft() for detector in ready], strict=True)
        for detector in ready:
            del self._ready[detector]
            if detector.windows:  # behind those that wait
                self._ready[detector] = None
        slots = [detector.slot for detector in ready]
        work = (self._model, windows, self._h.take(slots, 0), self._c.take(slots, 0))
        self._ran_at = self._loop.time()
        try:
            self._take(ready, ends, _infer(*work))
        finally:
            self._busy = False
            if self._ready:
                self._begin(0)  # others get the loop in between

    def _take(self, ready: list[SileroDetector], ends: tuple[int, ...], outcome: _Outcome) -> None:
        probabilities, h, c = outcome
        if not any(detector.closed for detector in ready):
            slots = [detector.slot for detector in ready]
            self._h[slots], self._c[slots] = h, c
        else:  # another stream may have a closed one's slot by now
            for i, detector in enumerate(ready):
                if not detector.closed:
                    self._h[detector.slot], self._c[detector.slot] = h[i], c[i]
        for detector, probability, end in zip(ready, probabilities, ends, strict=True):
            if not detector.closed:  # a callback before this one may have closed it
                self._tell(detector, probability, end)

    def _tell(self, detector: SileroDetector, probability: float, end_sample: int) -> None:
        try:
            detector.on_probability(probability, end_sample)
        except Exception as error:  # one session's fault must not silence the others of the batch
            context = {"message": "a voice activity callback failed", "exception": error}
            self._loop.call_exception_handler(context)


def _load(path: Path | None) -> SileroModel:
    return SileroModel(path or bundled_model())


def _infer(model: SileroModel, windows: tuple[Samples, ...], h: FloatArray, c: FloatArray) -> _Outcome:
    batch = np.concatenate(windows).reshape(len(windows), INPUT_SAMPLES)
    probabilities, new_h, new_c = model.run(batch, h, c)
    return probabilities.tolist(), new_h, new_c
