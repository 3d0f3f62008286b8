"""Watches the event loop from a thread: a stall is reported with the stack that caused it.

While the loop stalls nothing is played and nothing is heard, for all calls of the process at once. The loop beats every
:data:`BEAT_S`; a thread that sees no beat for :data:`STALL_S` looks what the loop's thread is doing that very moment.
The report is written from the thread, so that a loop that never comes back is reported too. It says for how long of
the stall the loop's thread was on a core: where that is little it waited, or the machine was busy with others, and the
stack shows where it was by chance.
"""

import contextlib
import sys
import threading
import time
import traceback
from asyncio import AbstractEventLoop, TimerHandle, get_running_loop
from collections.abc import Callable, Iterator
from typing import Final, Protocol

import structlog

from voicegate.kernel.telemetry import Counter, Telemetry

BEAT_S: Final = 0.02
STALL_S: Final = 0.1
_REPORT_AFTER_S: Final = 0.5
"""A stall that goes on is reported after this time, and again when it is over."""
_SHOWN_CALLS: Final = 10
_FRAMES: Final = 12

_log = structlog.get_logger(__name__)


class Live(Protocol):
    """The calls that a stall hurts."""

    @property
    def ids(self) -> tuple[str, ...]: ...


@contextlib.contextmanager
def watch_loop(calls: Live, telemetry: Telemetry) -> Iterator[None]:
    """Watch the running loop while entered."""
    watchdog = Watchdog(get_running_loop(), calls, telemetry)
    watchdog.start()
    try:
        yield
    finally:
        watchdog.stop()


class Watchdog:
    """One a loop. Beats on the loop, looks from a thread."""

    def __init__(
        self,
        loop: AbstractEventLoop,
        calls: Live,
        telemetry: Telemetry,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._loop, self._calls, self._now = loop, calls, now
        self._watched = threading.get_ident()
        self._worked = _time_on_core(self._watched)
        self._worked_s = self._worked()
        self._beat_at = now()
        self._timer: TimerHandle | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._stalls: Counter = telemetry.counter("voicegate_loop_stalls_total", "Event loop stalls above 100 ms")
        self._length = telemetry.histogram("voicegate_loop_stall_seconds", "How long the event loop stalled")

    def start(self) -> None:
        self._beat()
        self._thread.start()

    def stop(self) -> None:
        """The thread ends within a beat; it is waited for."""
        if self._timer is not None:
            self._timer.cancel()
        self._over.set()
        self._thread.join()

    def _beat(self) -> None:
        self._worked_s = self._worked()  # before the beat, by which the thread knows that it is new
        self._beat_at = self._now()
        self._timer = self._loop.call_later(BEAT_S, self._beat)

    # --- in the thread ---

    def _watch(self) -> None:
        while not self._over.wait(BEAT_S):
            beat = self._beat_at
            if self._now() - beat >= STALL_S:
                self._follow(beat)

    def _follow(self, beat: float) -> None:
        """From the moment a stall is noticed to its end."""
        stack, ids, worked_s = self._stack(), self._calls.ids, self._worked_s
        self._stalls.inc()
        told = False
        while self._beat_at == beat and not self._over.wait(BEAT_S):
            if not told and self._now() - beat >= _REPORT_AFTER_S:
                told = True
                self._report("the event loop stalls", self._now() - beat, self._worked() - worked_s, stack, ids)
        lasted = max(self._beat_at, beat + STALL_S) - beat
        self._length.observe(lasted)
        self._report("the event loop stalled", lasted, self._worked_s - worked_s, stack, ids)

    def _stack(self) -> list[str]:
        """What the loop's thread is in, innermost last: ``file:line function``."""
        frame = sys._current_frames().get(self._watched)
        if frame is None:
            return []
        entries = traceback.StackSummary.extract(traceback.walk_stack(frame), limit=_FRAMES, lookup_lines=False)
        return [f"{entry.filename}:{entry.lineno} {entry.name}" for entry in reversed(entries)]

    def _report(self, event: str, lasted_s: float, worked_s: float, stack: list[str], ids: tuple[str, ...]) -> None:
        _log.warning(
            event,
            stalled_ms=round(lasted_s * 1000),
            worked_ms=round(worked_s * 1000),
            calls=len(ids),
            session_ids=ids[:_SHOWN_CALLS],
            stalled_in=stack,  # not "stack": structlog's columns for a terminal keep that name for a text
        )


def _time_on_core(thread: int) -> Callable[[], float]:
    """Seconds that this thread was on a core so far, asked from any thread. Where the system does not tell (macOS): of
    the whole process."""
    if not hasattr(time, "pthread_getcpuclockid"):
        return time.process_time
    clock = time.pthread_getcpuclockid(thread)
    return lambda: time.clock_gettime(clock)
