"""Worker threads that an engine owns, so that inference never runs on the event loop.

onnxruntime, ctranslate2 and the like release the GIL while they compute; a few threads are therefore enough, and their
number is the bound on concurrent inference. The owner closes them: no thread outlives ``aclose``.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")


class WorkerThreads:
    """At most ``threads`` calls at a time; further ones wait their turn in order."""

    def __init__(self, name: str, threads: int) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._stops: set[threading.Event] = set()

    async def run(self, call: Callable[[threading.Event], Result]) -> Result:
        """The result of ``call(stop)`` in a worker thread.

        Whoever awaits may be cancelled: a call still waiting never starts, a running one finds ``stop`` set and should
        return early; its result is dropped.

        Raises:
            RuntimeError: closed.
        """
        stop = threading.Event()
        self._stops.add(stop)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, call, stop)
        finally:
            stop.set()
            self._stops.discard(stop)

    async def aclose(self) -> None:
        """Stop what runs, forget what waits, and return when every thread has ended."""
        for stop in self._stops:
            stop.set()
        await asyncio.to_thread(self._executor.shutdown, wait=True, cancel_futures=True)
