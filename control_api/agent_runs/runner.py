"""Runs agents in the background, a few at a time, and notes what becomes of them.

While a process has a run, it says so in Redis every few seconds. A run that nobody has said so of for long has lost its
process: whichever process looks next notes it as failed.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final
from uuid import UUID

import structlog
from sqlalchemy import select, update

from control_api.db.database import Database, DatabaseAway
from control_api.db.models.agents import AgentRun
from sessions.run_signs import RunSigns
from voicegate.kernel.clock import Clock
from voicegate.kernel.errors import StateUnavailable, VoicegateError

AT_ONCE: Final = 8
MOST: Final = 100
"""Runs that a process has at most, those that wait included."""
SIGN_EVERY_S: Final = 2.0
_OPEN: Final = ("queued", "running")
_log = structlog.get_logger(__name__)

Work = Callable[[], Awaitable[dict[str, Any]]]
"""Runs the agent; gives the columns of the outcome. Raises RunFailed."""


class RunFailed(Exception):
    """The agent failed; ``columns``: what is known nevertheless."""

    def __init__(self, code: str, columns: dict[str, Any] | None = None) -> None:
        super().__init__(code)
        self.code, self.columns = code, columns or {}


class Runner:
    def __init__(self, database: Database, signs: RunSigns, clock: Clock, tasks: asyncio.TaskGroup) -> None:
        self._database, self._signs, self._clock, self._tasks = database, signs, clock, tasks
        self._places = asyncio.Semaphore(AT_ONCE)
        self._mine: dict[UUID, asyncio.Task[None]] = {}
        self._suspects: set[UUID] = set()

    @property
    def is_full(self) -> bool:
        return len(self._mine) >= MOST

    def start(self, run_id: UUID, work: Work) -> None:
        """Run it when there is a place. Its row is committed."""
        task = self._tasks.create_task(self._run(run_id, work), name=f"run {run_id}")
        self._mine[run_id] = task
        task.add_done_callback(lambda _: self._mine.pop(run_id, None))

    async def run(self) -> None:
        """Say which runs are ours, and look for those that are nobody's, for ever. At the end ours end too."""
        try:
            while True:
                try:
                    await self.round()
                except (StateUnavailable, DatabaseAway) as error:
                    _log.warning("runs wait", error=error.code)
                except Exception:
                    # Whatever it is, it must not take the API down, nor the gateway that may run beside it.
                    _log.exception("runs not looked after")
                await asyncio.sleep(SIGN_EVERY_S)
        finally:
            for task in list(self._mine.values()):
                task.cancel()

    async def round(self) -> None:
        """One look. A run is lost when two in a row find no sign of it.

        Raises:
            StateUnavailable, DatabaseAway: the next one does it.
        """
        await self._signs.give([str(run_id) for run_id in self._mine])
        async with self._database.system() as session:
            wanted = select(AgentRun.id).where(AgentRun.status.in_(_OPEN)).order_by(AgentRun.created_at).limit(1_000)
            open_ones = [run_id for run_id in await session.scalars(wanted) if run_id not in self._mine]
        without = set(await self._without_sign(open_ones))
        lost, self._suspects = without & self._suspects, without - self._suspects
        for run_id in lost:
            _log.warning("run lost", run=str(run_id))
            await self._note(run_id, status="failed", error="interrupted", ended_at=self._clock.utc())

    async def _without_sign(self, run_ids: list[UUID]) -> list[UUID]:
        signs = await self._signs.of([str(run_id) for run_id in run_ids])
        return [run_id for run_id, sign in zip(run_ids, signs, strict=True) if not sign]

    async def _run(self, run_id: UUID, work: Work) -> None:
        try:
            async with self._places:
                await self._note(run_id, status="running", started_at=self._clock.utc())
                columns = await work()
            await self._end(run_id, status="succeeded", **columns)
        except RunFailed as failed:
            await self._end(run_id, status="failed", error=failed.code, **failed.columns)
        except asyncio.CancelledError:
            await self._end(run_id, status="failed", error="interrupted")
            raise
        except VoicegateError as error:
            await self._end(run_id, status="failed", error=error.code)
        except Exception:
            _log.exception("run failed", run=str(run_id))
            await self._end(run_id, status="failed", error="internal")

    async def _end(self, run_id: UUID, **columns: Any) -> None:
        try:
            await self._note(run_id, ended_at=self._clock.utc(), **columns)
        except DatabaseAway:
            _log.warning("run's end not noted", run=str(run_id))  # nobody gives a sign of it, so it is noted as lost

    async def _note(self, run_id: UUID, **columns: Any) -> None:
        async with self._database.system() as session:
            await session.execute(update(AgentRun).where(AgentRun.id == run_id).values(**columns))
