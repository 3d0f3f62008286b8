"""Who gets a worker thread when there are fewer threads than calls: what somebody waits for goes before the rest.

An interim text is worth having only while it is fresh and nobody needs the processor more. So an interim never waits:
it runs if a thread is free, else it is refused at once. And it never makes others wait: a call that finds every thread
taken stops an interim in the middle of its graph (onnxruntime looks at ``RunOptions.terminate`` before every node).
"""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import onnxruntime

from pipeline.adapters.workers import WorkerThreads
from pipeline.ports import EngineBusy

Result = TypeVar("Result")


@dataclass(slots=True, eq=False)
class _Call:
    interim: bool
    options: onnxruntime.RunOptions = field(default_factory=onnxruntime.RunOptions)
    started: bool = False
    stopped: bool = False
    """Its thread will be free in a moment."""

    def stop(self) -> None:
        self.stopped = True
        self.options.terminate = True


class Precedence:
    """Runs calls in ``workers``, of which there are ``threads``. Use it in one event loop."""

    def __init__(self, provider: str, workers: WorkerThreads, threads: int) -> None:
        self._provider = provider
        self._workers = workers
        self._threads = threads
        self._lock = threading.Lock()
        self._calls: list[_Call] = []

    async def run(
        self, call: Callable[[threading.Event, onnxruntime.RunOptions], Result], *, interim: bool = False
    ) -> Result:
        """The result of ``call(stop, options)``, which should give the options to every run of a graph.

        Raises:
            EngineBusy: an interim found no free thread, or had to give its own away.
            RuntimeError: the workers are closed.
        """
        entry = self._admitted(interim=interim)
        try:
            return await self._workers.run(partial(self._performed, entry, call))
        except asyncio.CancelledError:
            entry.stop()
            raise
        except Exception as error:  # whatever an interrupted graph raises
            if entry.stopped:
                raise EngineBusy(self._provider, "the interim gave way", retryable=True) from error
            raise
        finally:
            if not entry.started:
                self._left(entry)

    def _admitted(self, *, interim: bool) -> _Call:
        entry = _Call(interim)
        entry.options.log_severity_level = 4  # being stopped is no error to be told on stderr
        with self._lock:
            if interim and len(self._calls) >= self._threads:
                raise EngineBusy(self._provider, "no thread is free for an interim", retryable=True)
            going_on = [one for one in self._calls if not one.stopped]
            if len(going_on) >= self._threads:
                # The youngest has the least work to lose.
                youngest = next((one for one in reversed(going_on) if one.interim), None)
                if youngest is not None:
                    youngest.stop()
            self._calls.append(entry)
        return entry

    def _performed(
        self,
        entry: _Call,
        call: Callable[[threading.Event, onnxruntime.RunOptions], Result],
        stop: threading.Event,
    ) -> Result:
        entry.started = True
        try:
            return call(stop, entry.options)
        finally:
            self._left(entry)

    def _left(self, entry: _Call) -> None:
        with self._lock:
            if entry in self._calls:
                self._calls.remove(entry)
