"""One clock for all calls of a process: every seat ticks each 20 ms, spread over four phases 5 ms apart.

Deadlines are absolute (start + n * 5 ms), so nothing drifts. A late clock catches up by ticking at once for every
deadline it missed, at most :data:`MAX_CATCH_UP_MS`; what is older is skipped and counted, because a burst of stale
audio helps nobody. While nobody sits it sleeps.

With many seats the clock also keeps the event loop from waking for every packet: once what came is dealt with, it stops
the loop until the next step (:data:`MANY`). A hundred calls bring five thousand packets a second, and each would wake
the process, find its caches cold and leave; taken together every 5 ms they cost a sixth less of a core (measured), and
are answered as soon as before, because the work in front of each is shorter.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from voicegate.kernel.audio import FRAME_MS
from voicegate.kernel.clock import Clock
from voicegate.kernel.telemetry import Telemetry

PHASES: Final = 4
STEP_S: Final = FRAME_MS / 1000 / PHASES
MAX_CATCH_UP_MS: Final = 100
_MAX_BEHIND: Final = MAX_CATCH_UP_MS // (FRAME_MS // PHASES)
MANY: Final = 16
"""Seats from which on the loop wakes by the clock only."""
_OPEN_S: Final = 0.001
"""How long, within each step, the loop takes what comes: the work that follows from what came has as many turns of the
loop in it as it wants."""
_WORTH_S: Final = 0.0005
"""A shorter stop does not pay."""

_log = structlog.get_logger(__name__)


class Seat:
    """A place at the clock; see :meth:`Metronome.join`."""

    __slots__ = ("phase", "rests_until", "tick")

    def __init__(self, tick: Callable[[], None], phase: int) -> None:
        self.tick = tick
        self.phase = phase
        self.rests_until = 0.0
        """Its owner wants no tick before, on the metronome's clock, unless it is hurried."""

    def let_go(self) -> None:
        """Forget whom to tick: whoever ticks here mostly holds the seat too, and a connection that is over should be
        freed at once, not by a garbage collection that halts every other one."""
        self.tick = _nobody


def _nobody() -> None: ...


def _ignore(lateness_s: float) -> None: ...


class Metronome:
    """One a process. Enter :meth:`run` as a task; join and leave from the same event loop."""

    def __init__(
        self,
        clock: Clock,
        telemetry: Telemetry,
        *,
        on_lateness: Callable[[float], None] = _ignore,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        stop: Callable[[float], object] = time.sleep,
    ) -> None:
        """``on_lateness`` gets the lateness of every tick, in seconds. ``stop`` halts the whole event loop for so many
        seconds (not the process's other threads)."""
        self._on_lateness = on_lateness
        self._clock = clock
        self._sleep, self._stop = sleep, stop
        self._phases: tuple[dict[Seat, None], ...] = tuple({} for _ in range(PHASES))
        self._somebody = asyncio.Event()
        self._start = 0.0
        self._lateness = telemetry.histogram("voicegate_playout_lateness_seconds", "How late the 20 ms clock ticks")
        self._skipped = telemetry.counter("voicegate_playout_skipped_steps_total", "5 ms steps too old to catch up")
        self._faults = telemetry.counter("voicegate_playout_faults_total", "Ticks that raised")

    def __len__(self) -> int:
        return sum(map(len, self._phases))

    def join(self, tick: Callable[[], None]) -> Seat:
        """Call ``tick`` every 20 ms from now on, until :meth:`leave`. It must return at once and not raise; one that
        raises loses its seat and is logged."""
        phase = min(range(PHASES), key=lambda each: len(self._phases[each]))
        seat = Seat(tick, phase)
        self._phases[phase][seat] = None
        self._somebody.set()
        return seat

    def leave(self, seat: Seat) -> None:
        """No tick after this returns. Leaving twice is fine."""
        self._phases[seat.phase].pop(seat, None)
        seat.let_go()

    def hurry(self, seat: Seat) -> None:
        """Tick ``seat`` now, and every 20 ms from now on (the first time after 15 to 20 ms, to fall into a phase)."""
        if seat not in self._phases[seat.phase]:
            return
        del self._phases[seat.phase][seat]
        seat.rests_until = 0.0
        seat.phase = int((self._clock.monotonic() - self._start) / STEP_S) % PHASES
        self._phases[seat.phase][seat] = None
        self._tick(seat)

    async def run(self) -> None:
        """Tick until cancelled."""
        while True:
            if not len(self):
                self._somebody.clear()
                await self._somebody.wait()
            await self._run_while_somebody()

    async def _run_while_somebody(self) -> None:
        start, step = self._clock.monotonic(), 0
        self._start = start
        while len(self):
            step = self._next_step(step)
            await self._until(start + step * STEP_S)
            step = self._catch_up(start, step)

    async def _until(self, deadline: float) -> None:
        ahead = deadline - self._clock.monotonic()
        if ahead > _OPEN_S + _WORTH_S and len(self) >= MANY:
            await self._sleep(_OPEN_S)
            ahead = deadline - self._clock.monotonic()
            if ahead > _WORTH_S:
                self._stop(ahead)
        elif ahead > 0:
            await self._sleep(ahead)

    def _next_step(self, step: int) -> int:
        """The first step after ``step`` whose phase has seats."""
        return next(each for each in range(step + 1, step + PHASES + 1) if self._phases[each % PHASES])

    def _catch_up(self, start: float, step: int) -> int:
        """Tick for every deadline that is due from ``step`` on; return the last step that was due."""
        now = self._clock.monotonic()
        late_s = max(0.0, now - (start + step * STEP_S))
        self._lateness.observe(late_s)
        self._on_lateness(late_s)
        due = max(step, int((now - start) / STEP_S + 1e-6))
        if due - step >= _MAX_BEHIND:
            self._skipped.inc(due - step - _MAX_BEHIND + 1)
            step = due - _MAX_BEHIND + 1
        for each in range(step, due + 1):
            self._tick_phase(each % PHASES)
        return due

    def _tick_phase(self, phase: int) -> None:
        now, seats = self._clock.monotonic(), self._phases[phase]
        for seat in list(seats):
            if seat.rests_until <= now and seat in seats:  # else it left while another seat of this phase ticked
                self._tick(seat)

    def _tick(self, seat: Seat) -> None:
        try:
            seat.tick()
        except Exception:
            self.leave(seat)
            self._faults.inc()
            _log.exception("a call's tick failed; its playout stops")
