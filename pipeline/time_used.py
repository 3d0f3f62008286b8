"""Reports what passes with time as usage: the call's length, and the audio that speech to text was given."""

import asyncio
from collections.abc import Callable

from pipeline.reporter import Reporter
from voicegate.kernel.events import Usage
from voicegate.kernel.ids import TurnId

TOLD_S = 10.0
"""How often the call's time is reported: a process that dies takes so much of it along."""


class TimeUsed:
    """Of one session, from :meth:`begin` to :meth:`close`."""

    def __init__(
        self,
        reporter: Reporter,
        now: Callable[[], float],
        loop: asyncio.AbstractEventLoop,
        take_heard_s: Callable[[], float],
        stt_provider: str,
    ) -> None:
        """``take_heard_s`` gives the seconds of audio that speech to text got since it was asked last."""
        self._reporter, self._now, self._loop = reporter, now, loop
        self._take_heard_s, self._stt_provider = take_heard_s, stt_provider
        self._timer: asyncio.TimerHandle | None = None
        self._told_until = now()

    def begin(self) -> None:
        self._told_until = self._now()
        self._later()

    def heard(self, turn: TurnId | None = None) -> None:
        """Report what was listened to, also what nothing came of."""
        seconds = round(self._take_heard_s(), 2)
        if seconds:
            self._reporter.emit(Usage, turn, stage="stt", provider=self._stt_provider, quantity=seconds, unit="seconds")

    def close(self) -> None:
        """Report the rest."""
        if self._timer is not None:
            self._timer.cancel()
        self.heard()
        self._passed()

    def _passed(self) -> None:
        seconds = round(self._now() - self._told_until, 3)
        if seconds > 0:
            self._told_until += seconds
            self._reporter.emit(Usage, stage="session", provider="voicegate", quantity=seconds, unit="seconds")

    def _later(self) -> None:
        self._timer = self._loop.call_later(TOLD_S, self._again)

    def _again(self) -> None:
        self._passed()
        self._later()
