"""Records, transcripts and events of sessions, read and written one call at a time.

What a running session writes goes through the :mod:`~sessions.journal`; this is for its beginning, for resuming, and
for those who look on.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import cast

from redis.asyncio import Redis

from sessions import scripts
from sessions.config import Config
from sessions.connection import state_errors
from sessions.keys import LIVE, session_keys
from sessions.model import SessionRecord, TranscriptEntry, from_ms, record_fields, record_from, resume_key, to_ms
from sessions.transcript import decode_entry, in_order
from voicegate.kernel.errors import RefusedCall
from voicegate.kernel.events import Event, decode
from voicegate.kernel.ids import SessionId

_PAGE_EVENTS = 1_000
_UNSET = from_ms(0)


class Store:
    """Every method raises :class:`~voicegate.kernel.errors.StateUnavailable` within about a second if Redis is away."""

    def __init__(self, client: Redis, config: Config) -> None:
        self._client = client
        self._config = config

    async def create(
        self,
        session_id: SessionId,
        *,
        agent: str,
        transport: str,
        context: Mapping[str, str] | None = None,
        resume_secret: str = "",
        replace: bool = False,
    ) -> SessionRecord:
        """A new live session. Its secret is stored only as a digest.

        ``replace`` forgets an older session of that id if it has ended or its owner is gone, for clients that use one
        id again and again; a session that is held is never replaced.

        Raises:
            RefusedCall: ``session_exists``.
            StateUnavailable: Redis is away.
        """
        record = SessionRecord(
            session_id,
            agent,
            "live",
            _UNSET,
            _UNSET,
            transport,
            context=context or {},
            resume_key=resume_key(resume_secret),
        )
        pairs = [part for pair in record_fields(record).items() for part in pair]
        call = scripts.Call(scripts.CREATE, session_keys(session_id), (self._retention_ms, int(replace), *pairs))
        with state_errors():
            reply = await scripts.run(self._client, call)
        if reply == scripts.REFUSED:
            raise RefusedCall("session_exists", f"session {session_id} exists already")
        now = from_ms(cast(int, reply))
        return SessionRecord(
            session_id, agent, "live", now, now, transport, context=record.context, resume_key=record.resume_key
        )

    async def load(self, session_id: SessionId) -> SessionRecord | None:
        """The session's record, or None if there is none (any more)."""
        with state_errors():
            found = await self._client.hgetall(session_keys(session_id).session)
        fields = cast(dict[bytes, bytes], found)
        return record_from(session_id, fields) if b"status" in fields else None

    async def end(self, session_id: SessionId, reason: str) -> bool:
        """Mark a session ended whose owner is gone. False if it is unknown or its owner lives: that one must end it."""
        keys = session_keys(session_id)
        call = scripts.Call(scripts.END, (keys.session, keys.lease, LIVE), (session_id, reason, self._retention_ms))
        with state_errors():
            return await scripts.run(self._client, call) == 1

    async def erase(self, session_id: SessionId, created_at: datetime) -> bool:
        """Forget all of a session that nobody holds: record, events, transcript. False: it is held. A later session of
        the same id is left alone."""
        call = scripts.Call(scripts.ERASE, (*session_keys(session_id), LIVE), (session_id, to_ms(created_at)))
        with state_errors():
            return await scripts.run(self._client, call) != 0

    async def live_count(self) -> int:
        """Sessions of all processes whose lease has not run out."""
        with state_errors():
            return cast(int, await scripts.run(self._client, scripts.Call(scripts.LIVE_COUNT, (LIVE,), ())))

    async def live_ids(self) -> list[SessionId]:
        with state_errors():
            ids = await scripts.run(self._client, scripts.Call(scripts.LIVE_IDS, (LIVE,), ()))
        return [SessionId(session_id.decode()) for session_id in cast(list[bytes], ids)]

    async def transcript(self, session_id: SessionId) -> tuple[TranscriptEntry, ...]:
        """Entries as they were stored last, by turn, the user before the agent."""
        with state_errors():
            values = await self._client.hvals(session_keys(session_id).transcript)
        return in_order(decode_entry(value) for value in cast(list[bytes], values))

    async def events_after(self, session_id: SessionId, seq: int) -> list[Event]:
        """All stored events with a number above ``seq``, in order."""
        events: list[Event] = []
        key, start = session_keys(session_id).events, seq
        while True:
            with state_errors():
                found = await self._client.xrange(key, f"({start}-0", "+", count=_PAGE_EVENTS)
            page = cast(list[tuple[bytes, dict[bytes, bytes]]], found)
            events += [decode(fields[b"e"]) for _, fields in page]
            if len(page) < _PAGE_EVENTS:
                return events
            start = events[-1].seq

    @property
    def _retention_ms(self) -> int:
        return round(self._config.retention_s * 1000)
