"""Writes the events of all sessions of a process to Redis, many at a time.

One task makes one pipelined round trip after another; whatever is emitted while one is under way goes with the next.
So a lone event is on its way at once, and under load the batches grow by themselves.

While Redis is away, events stay in memory (bounded, see :class:`~sessions.config.Config`), listeners get them at
once, and the writer tries again with back-off. When Redis is back all of it is written in order. Writing twice does
no harm: Redis knows the number of the last event it has, and takes only higher ones.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Self

from redis.asyncio import Redis
from redis.exceptions import TimeoutError as RedisTimeoutError

from sessions import scripts
from sessions.config import Config
from sessions.connection import AWAY, end
from sessions.lease import Keeper, Lease, Leases
from sessions.log import OnLost, SessionLog, Write
from sessions.model import SessionRecord, TranscriptEntry
from voicegate.kernel.clock import Clock, SystemClock
from voicegate.kernel.telemetry import NoTelemetry, Telemetry

_log = logging.getLogger(__name__)


def _nothing() -> None:
    """Nobody wants to know."""


class Journal:
    """The process's writer of session events. Use as an async context manager inside that of its leases."""

    def __init__(
        self,
        client: Redis,
        config: Config,
        leases: Leases,
        *,
        on_away: Callable[[], None] = _nothing,
        on_back: Callable[[], None] = _nothing,
        clock: Clock | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        """``on_away`` and ``on_back`` are called once an outage, on the event loop."""
        self._client = client
        self._config = config
        self._leases = leases
        self._on_away = on_away
        self._on_back = on_back
        self._clock = clock or SystemClock()
        self._away = False
        self._failures = 0
        self._logs: set[SessionLog] = set()
        self._dirty: dict[SessionLog, None] = {}
        self._bytes = 0
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()
        self._all_idle = asyncio.Event()
        self._tasks = asyncio.TaskGroup()
        self._writing: asyncio.Task[None] | None = None
        meter = telemetry or NoTelemetry()
        self._stored_total = meter.counter("voicegate_journal_events_stored_total", "Session events stored in Redis.")
        self._dropped_total = meter.counter(
            "voicegate_journal_events_dropped_total", "Session events never stored because a buffer was full."
        )
        self._unstored_bytes = meter.gauge("voicegate_journal_unstored_bytes", "Session events waiting for Redis.")
        self._away_gauge = meter.gauge("voicegate_redis_away", "1 while Redis cannot be used.")
        self._write_seconds = meter.histogram("voicegate_journal_write_seconds", "Round trip of a batch of events.")

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._writing = self._tasks.create_task(self._write_forever(), name="session journal")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._drain()
        finally:
            try:
                if self._writing is not None:
                    await end([self._writing])
            finally:
                await self._tasks.__aexit__(kind, error, trace)

    @property
    def away(self) -> bool:
        """Redis cannot be used: refuse new calls, let the running ones go on."""
        return self._away

    @asynccontextmanager
    async def open(
        self,
        record: SessionRecord,
        lease: Lease,
        *,
        transcript: Iterable[TranscriptEntry] = (),
        on_lost: OnLost | None = None,
    ) -> AsyncIterator[SessionLog]:
        """The log of a session that this process has leased; renews the lease while it is open.

        ``transcript`` holds the settled entries of a resumed session. ``on_lost`` is called once, with
        :class:`~voicegate.kernel.errors.LeaseLost`, when another process took over; close the call then.
        Leaving waits until all is stored and the lease released, unless Redis is away: then both are made up for
        when it is back.
        """
        log = SessionLog(self, self._config, record, lease, self._leases.arguments(lease), transcript, on_lost)
        self._logs.add(log)
        self._leases.keep(lease, Keeper(log.lose, log.forgotten))
        if not log.idle:
            self.changed(log)
        try:
            yield log
        finally:
            log.close()
            await self._until_released(log)

    # --- what logs call -------------------------------------------------------------------------------------------

    def changed(self, log: SessionLog) -> None:
        self._dirty[log] = None
        self._wake.set()

    def hurry(self) -> None:
        self._hurry.set()

    def grew(self, size_bytes: int) -> bool:
        self._bytes += size_bytes
        return self._bytes <= self._config.total_buffer_bytes

    def dropped(self) -> None:
        self._dropped_total.inc()

    # --- the writer -----------------------------------------------------------------------------------------------

    async def _write_forever(self) -> None:
        while True:
            if not self._dirty:
                await self._work()
            if len(self._logs) >= self._config.gather_from_sessions:
                await self._gather()
            self._hurry.clear()
            batch = self._batch()
            started_s = self._clock.monotonic()
            try:
                replies = await self._round_trip(batch)
            except AWAY as error:
                for log, write in batch:
                    log.failed(write)
                    self._dirty[log] = None
                await self._failed(error)
            else:
                now_s = self._clock.monotonic()
                self._write_seconds.observe(now_s - started_s)
                self._succeeded()
                for (log, write), reply in zip(batch, replies, strict=True):
                    self._settle(log, write, reply, now_s)
            self._unstored_bytes.set(self._bytes)

    async def _work(self) -> None:
        """Wait for something to write, but not so long that an outage would go unnoticed."""
        self._wake.clear()
        self._all_idle.set()
        try:
            async with asyncio.timeout(self._config.lease_ttl_s / 3):
                await self._wake.wait()
        except TimeoutError:
            return
        finally:
            self._all_idle.clear()

    async def _gather(self) -> None:
        """Let other events join those that wait, unless somebody waits for them."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._config.gather_s):
                await self._hurry.wait()

    def _batch(self) -> list[tuple[SessionLog, Write]]:
        """The next write of each changed session, oldest change first, until the round trip is full."""
        batch: list[tuple[SessionLog, Write]] = []
        room = self._config.batch_events
        while self._dirty and room > 0:
            log = next(iter(self._dirty))
            del self._dirty[log]
            if log.lost.is_set():
                self._forget(log)
                continue
            write = log.write(room)
            batch.append((log, write))
            room -= max(1, write.events)
        return batch

    async def _round_trip(self, batch: list[tuple[SessionLog, Write]]) -> list[object]:
        if not batch:
            await self._client.execute_command("PING")  # type: ignore[no-untyped-call]
            return []
        return await scripts.run_all(self._client, [write.call for _, write in batch])

    def _settle(self, log: SessionLog, write: Write, reply: object, now_s: float) -> None:
        log.acknowledge(write, reply, now_s)
        if not isinstance(reply, Exception):
            self._stored_total.inc(write.events)
        if log.lost.is_set() or log.released.is_set():
            self._forget(log)
        elif not log.idle:
            self._dirty[log] = None

    def _forget(self, log: SessionLog) -> None:
        self._logs.discard(log)
        self._dirty.pop(log, None)
        self._leases.drop(log.lease)

    # --- outages --------------------------------------------------------------------------------------------------

    async def _failed(self, error: Exception) -> None:
        self._failures += 1
        if self._failures == 1 and not isinstance(error, RedisTimeoutError):
            return  # A connection that went stale while idle, most often. Try once more on a fresh one.
        if not self._away:
            _log.warning("Redis is away: %s", error or type(error).__name__)
            self._away = True
            self._away_gauge.set(1)
            for log in tuple(self._logs):
                log.away()
            _guarded(self._on_away)
        doubled = min(self._failures, 16)
        await asyncio.sleep(min(self._config.retry_first_s * 2**doubled, self._config.retry_most_s))

    def _succeeded(self) -> None:
        self._failures = 0
        if not self._away:
            return
        _log.warning("Redis is back")
        self._away = False
        self._away_gauge.set(0)
        for log in self._logs:
            self.changed(log)  # Even a silent session finds out now whether Redis still has all it acknowledged.
        _guarded(self._on_back)

    async def _until_released(self, log: SessionLog) -> None:
        if self._away or log.lost.is_set():
            return
        try:
            async with asyncio.timeout(self._config.close_timeout_s):
                await log.released.wait()
        except TimeoutError:
            _log.warning("session %s is being stored in the background", log.record.id)

    async def _drain(self) -> None:
        try:
            async with asyncio.timeout(self._config.close_timeout_s):
                await self._all_idle.wait()
        except TimeoutError:
            _log.error("ending although %d sessions (%d bytes) are not stored", len(self._dirty), self._bytes)
        for log in tuple(self._logs):
            log.away()


def _guarded(callback: Callable[[], None]) -> None:
    try:
        callback()
    except Exception:
        _log.exception("a listener of outages failed")
