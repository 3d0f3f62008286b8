"""Follows the gateway's event streams and keeps the conversations they tell.

At least once, in order for each call, resumable: a call is read from its first event, folded (:mod:`story`), and
written as it stands (:mod:`keeping`). Two processes may follow the same call; both write the same. The gateway notes
each call that begins in one stream, where we wait. What ran while nobody followed is found by looking through the
sessions that Redis still has: at the start, after every outage, and now and then.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

import msgspec
import structlog
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncSession

from control_api.analytics.recent import Recent
from control_api.analytics.rollup import roll_up
from control_api.conversations.keeping import Belongs, Kept, client_phone, find_agent, keep, progress
from control_api.conversations.story import Story
from control_api.credits.bookkeeper import Bookkeeper
from control_api.db.database import Database, DatabaseAway
from control_api.notifications.announcer import Announcer
from sessions.connection import AWAY, state_errors
from sessions.keys import BEGUN, PREFIX, session_keys
from sessions.model import SessionRecord
from sessions.store import Store
from voicegate.kernel.clock import Clock
from voicegate.kernel.errors import StateUnavailable
from voicegate.kernel.events import decode
from voicegate.kernel.ids import SessionId
from voicegate.kernel.telemetry import Telemetry

ROUND_S = 0.05
"""Shortest time between two looks at events: many of many calls go into one transaction. A call that begins does not
wait for it."""
_BLOCK_MS = 80
_FIRST_MS = 30
"""Wait for the first event of a call that has begun: longer than the gateway gathers events."""
_PAGE_EVENTS = 1_000
_LOOK_THROUGH_S = 60.0
_LOST_S = 90.0
"""A call that nobody holds for so long has lost its process: longer than a lease and the usual resume window."""
_REMEMBERED = 20_000
_LOOK_AGAIN_S = 2.0
_LIVE_S = 2.0
_RETRY_S = 0.5
_SUFFIX = ":events"
_log = structlog.get_logger(__name__)

_Entries = list[tuple[bytes, dict[bytes, bytes]]]
_Found = list[tuple[str, _Entries]]
"""Entries by the stream they are of."""


@dataclass(slots=True)
class _Over:
    """A call that is stored to its end, or is nobody's. Looked at again now and then: a client may come back to it, and
    an id may be used again."""

    created_at: datetime
    nobodys: bool
    looked_s: float


@dataclass(frozen=True, slots=True)
class _Belongings:
    """Whose agents are, for calls that began together: each is asked for once, in one transaction."""

    session: AsyncSession
    known: dict[UUID, Belongs | None]

    async def of(self, agent_id: UUID) -> Belongs | None:
        if agent_id not in self.known:
            self.known[agent_id] = await find_agent(self.session, agent_id)
        return self.known[agent_id]


class Consumer:
    def __init__(
        self,
        client: Redis,
        store: Store,
        database: Database,
        clock: Clock,
        telemetry: Telemetry,
        home: UUID | None,
        bookkeeper: Bookkeeper | None = None,
        announcer: Announcer | None = None,
        recent: Recent | None = None,
    ) -> None:
        """``client`` is this consumer's own: it waits in it. ``bookkeeper`` charges for the calls, ``announcer`` tells
        of them, ``recent`` is told what goes on."""
        self._bookkeeper, self._announcer = bookkeeper, announcer
        self._client, self._store, self._database = client, store, database
        self._clock, self._home = clock, home
        self._calls: dict[str, Kept] = {}
        self._recent = recent or Recent()
        self._over: OrderedDict[str, _Over] = OrderedDict()
        self._dirty: dict[str, Kept] = {}
        self._begun = ""
        """The last entry of the stream of beginnings that we have seen; empty: none, look through everything."""
        self._looked_s = self._live_s = float("-inf")
        self._followed = telemetry.gauge("voicegate_api_followed_calls", "Calls whose events are being stored.")
        self._events = telemetry.counter("voicegate_api_events_total", "Events of calls taken from Redis.")

    async def run(self) -> None:
        """Follow, for ever."""
        away = False
        while True:
            try:
                await self.round()
                await self._rest()
                away = False
            except (StateUnavailable, DatabaseAway) as error:
                if not away:
                    _log.warning("conversations wait", error=error.code)
                away, self._begun = True, ""
                await asyncio.sleep(_RETRY_S)
                while not await self._database.answers():  # noqa: ASYNC110 - it is elsewhere
                    await asyncio.sleep(_RETRY_S)
            except Exception:
                # Whatever it is, it must not take the API down, nor the gateway that may run beside it.
                _log.exception("conversations failed")
                await asyncio.sleep(_RETRY_S)

    async def round(self) -> None:
        """Take what is new, and store it.

        Raises:
            StateUnavailable, DatabaseAway: nothing is lost, the next round goes on.
        """
        now_s = self._clock.monotonic()
        if not self._begun or now_s - self._looked_s >= _LOOK_THROUGH_S:
            self._begun = self._begun or await self._newest_beginning()
            await self._look_through()
            self._looked_s = now_s
        await self._read()
        await self._write()
        if now_s - self._live_s >= _LIVE_S:
            await self._compare_live(0.0 if self._live_s < 0 else now_s - self._live_s)
            self._live_s = now_s
        self._followed.set(len(self._calls))

    async def _newest_beginning(self) -> str:
        with state_errors():
            newest = await self._client.xrevrange(BEGUN, count=1)
        return cast(list[tuple[bytes, object]], newest)[0][0].decode() if newest else "0-0"

    async def _look_through(self) -> None:
        """Open the calls that Redis knows and the database does not know to their end."""
        with state_errors():
            keys = [cast(bytes, key) async for key in self._client.scan_iter(match=f"{PREFIX}*{_SUFFIX}", count=1_000)]
        found = [key.decode()[len(PREFIX) : -len(_SUFFIX)] for key in keys]
        for start in range(0, len(found), 500):
            batch = [each for each in found[start : start + 500] if each not in self._calls]
            for session_id in await self._unfinished(batch):
                await self._open(session_id)

    async def _unfinished(self, session_ids: list[str]) -> list[str]:
        if not session_ids:
            return []
        async with self._database.system() as session:
            known = await progress(session, session_ids)
        with state_errors():
            async with self._client.pipeline(transaction=False) as pipe:
                for session_id in session_ids:
                    pipe.hget(session_keys(session_id).session, "seq")
                seqs = await pipe.execute()
        stored = (known.get(session_id, (0, False)) for session_id in session_ids)
        return [
            session_id
            for session_id, seq, (last, over) in zip(session_ids, seqs, stored, strict=True)
            if not over or int(seq or 0) != last
        ]

    async def _open(self, session_id: str, *, again: bool = False, belongings: _Belongings | None = None) -> None:
        """Follow the call, if it is anybody's. ``again``: it has just begun, whatever we know of its id."""
        over, now_s = self._over.get(session_id), self._clock.monotonic()
        followed = self._calls.get(session_id)
        if not again and (followed or (over is not None and now_s - over.looked_s < _LOOK_AGAIN_S)):
            return
        record = await self._store.load(SessionId(session_id))
        if record is None or (followed and followed.created_at == record.created_at):
            return
        if followed:  # its process died, and its client began another call under the same id
            await self._give_up(followed)
        same = over is not None and over.created_at == record.created_at
        if over is not None and same and not again and (over.nobodys or record.status == "ended"):
            over.looked_s = now_s
            return
        belongs = await self._belongs(record, belongings)
        if belongs is None:
            self._forget(session_id, record.created_at, nobodys=True)
            return
        self._calls[session_id] = Kept(session_id, belongs, record.created_at, client_phone(record), Story())
        self._recent.begun(session_id, belongs.organization_id)

    async def _give_up(self, call: Kept) -> None:
        call.story.end("lost", self._clock.utc())
        self._dirty[call.session_id] = call
        await self._write()

    async def _belongs(self, record: SessionRecord, belongings: _Belongings | None) -> Belongs | None:
        try:
            agent_id = UUID(record.agent)
        except ValueError:
            return Belongs(self._home, None, None) if self._home else None
        if belongings is not None:
            return await belongings.of(agent_id)
        async with self._database.system() as session:
            return await find_agent(session, agent_id)

    async def _rest(self) -> None:
        """Let events gather for a while; a call that begins meanwhile is stored at once."""
        until_s = self._clock.monotonic() + ROUND_S
        while (left_s := until_s - self._clock.monotonic()) > 0:
            streams = {**dict.fromkeys(self._silent(), "0-0"), BEGUN: self._begun}
            await self._welcome(await self._wait(streams, min(_BLOCK_MS, max(1, round(left_s * 1000)))))

    async def _read(self) -> None:
        """Wait a little for calls that begin and for events of any call, and fold them."""
        by_key = {session_keys(session_id).events: call for session_id, call in self._calls.items()}
        streams = {key: f"{call.story.last_seq}-0" for key, call in by_key.items()}
        found = await self._wait({**streams, BEGUN: self._begun}, _BLOCK_MS)
        silent = self._silent()
        for key, entries in found:
            if key != BEGUN and key not in silent:
                self._fold(by_key[key], entries)
        await self._welcome([each for each in found if each[0] == BEGUN or each[0] in silent])

    async def _wait(self, streams: Mapping[str, str], block_ms: int | None) -> _Found:
        """What the streams have after these entries, at once or within ``block_ms``."""
        asked: dict[Any, Any] = dict(streams)
        try:
            found = await self._client.xread(asked, count=_PAGE_EVENTS, block=block_ms)
        except AWAY as error:
            raise StateUnavailable(f"Redis is away: {type(error).__name__}") from error
        return [(key.decode(), entries) for key, entries in cast(list[tuple[bytes, _Entries]], found)]

    async def _welcome(self, found: _Found) -> None:
        """Store calls that have just begun, with what they tell so far, before anything else and with as few questions
        as can be: whoever looks for a call finds it. What follows from it, the ledger and the sums, comes with the next
        write; should we die before, the call still counts as one that goes on, and is read again."""
        if not found:
            return
        async with self._database.system() as session:
            silent = self._silent()
            begun = await self._open_all(session, [each for key, told in found if key == BEGUN for each in told])
            spoke = [each for each in found if each[0] in silent]
            silent |= begun
            if begun:  # the first event follows in a moment
                spoke += await self._wait(dict.fromkeys(begun, "0-0"), _FIRST_MS)
            for key, told in spoke:
                self._fold(silent[key], told)
            shown = [call for call in silent.values() if call.story.last_seq and call.story.ended_at is None]
            if shown:
                await keep(session, sorted(shown, key=lambda call: call.session_id), self._clock.utc())

    async def _open_all(self, session: AsyncSession, entries: _Entries) -> dict[str, Kept]:
        """Follow those that begin; by their streams, those that are new."""
        belongings, new = _Belongings(session, {}), {}
        for entry_id, fields in entries:
            self._begun, session_id = entry_id.decode(), fields[b"s"].decode()
            await self._open(session_id, again=True, belongings=belongings)
            call = self._calls.get(session_id)
            if call is not None and call.story.last_seq == 0:
                new[session_keys(session_id).events] = call
        return new

    def _silent(self) -> dict[str, Kept]:
        """Calls that have told nothing yet, by their streams."""
        calls = self._calls.items()
        return {session_keys(session_id).events: call for session_id, call in calls if call.story.last_seq == 0}

    def _fold(self, call: Kept, entries: _Entries) -> None:
        for entry_id, fields in entries:
            try:
                event = decode(fields[b"e"])
                call.meter.apply(event)
                call.tally.apply(event)
                self._recent.heard(call.session_id, call.belongs.organization_id, event, self._clock.utc())
                call.story.apply(event)
            except (msgspec.ValidationError, msgspec.DecodeError, KeyError):
                # An event of a newer gateway, or not one at all: the rest of the call is still worth having.
                _log.warning("event not understood", session_id=call.session_id, entry=entry_id.decode())
                call.story.last_seq = max(call.story.last_seq, int(entry_id.partition(b"-")[0]))
        self._events.inc(len(entries))
        self._dirty[call.session_id] = call

    async def _compare_live(self, passed_s: float) -> None:
        """Follow every call that is held, and give up those that nobody has held for long."""
        live: set[str] = set(await self._store.live_ids())
        for session_id in live - self._calls.keys():
            await self._open(session_id)
        for session_id, call in self._calls.items():
            held = session_id in live or call.story.ended_at is not None
            call.unseen_s = 0.0 if held else call.unseen_s + passed_s
            if call.unseen_s >= _LOST_S:
                call.story.end("lost", self._clock.utc())
                self._dirty[session_id] = call

    async def _write(self) -> None:
        """Store what changed; then let go of the calls that are over."""
        if not self._dirty:
            return
        # In one order everywhere: two consumers that write the same calls wait for each other, and never in a circle.
        calls = sorted(self._dirty.values(), key=lambda call: call.session_id)
        try:
            await self._keep(calls)
        except DatabaseAway:
            raise
        except Exception as error:  # one of them cannot be stored, and the others must not wait for it for ever
            # No traceback: a database's complaint quotes what it was given, and that is what people said.
            _log.error("calls not stored together", calls=len(calls), error=type(error).__name__)
            calls = await self._keep_one_by_one(calls)
        self._dirty.clear()
        for call in calls:
            call.story.written()
            call.is_new = False
            if call.story.ended_at is not None:
                self._calls.pop(call.session_id, None)
                self._forget(call.session_id, call.created_at, nobodys=False)

    async def _keep(self, calls: Sequence[Kept]) -> None:
        charged = None
        async with self._database.system() as session:
            ids = await keep(session, calls, self._clock.utc())
            if self._bookkeeper is not None:
                charged = await self._bookkeeper.charge(session, calls)
            noted = await roll_up(session, calls, ids)
        for call in calls:
            call.meter.written()
        if noted and self._announcer is not None:
            self._announcer.soon()
        if self._bookkeeper is not None and charged is not None:
            await self._bookkeeper.tell(charged)
            if self._announcer is not None:
                await self._announcer.of_credits(charged.available)

    async def _keep_one_by_one(self, calls: Sequence[Kept]) -> list[Kept]:
        """Those that could be stored; the others are followed no more."""
        stored = []
        for call in calls:
            try:
                await self._keep([call])
                stored.append(call)
            except DatabaseAway:
                raise
            except Exception as error:
                _log.error("call given up", session_id=call.session_id, error=type(error).__name__)
                self._calls.pop(call.session_id, None)
                self._forget(call.session_id, call.created_at, nobodys=True)
        return stored

    def _forget(self, session_id: str, created_at: datetime, *, nobodys: bool) -> None:
        self._recent.over(session_id)
        self._over[session_id] = _Over(created_at, nobodys, self._clock.monotonic())
        self._over.move_to_end(session_id)
        if len(self._over) > _REMEMBERED:
            self._over.popitem(last=False)
