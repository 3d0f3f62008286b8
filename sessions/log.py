"""One session's events on their way to Redis and to whoever listens. No task and no I/O: the journal drives it.

Rules for whoever edits this:

* ``_pending`` holds what is not stored, in order. ``_waiting`` holds what subscribers have not had, in order: the end
  of ``_pending``, since they get things early only while Redis is away. An event enters and leaves each once.
* ``_pending`` holds plain tuples of numbers and bytes, which the garbage collector stops tracking. With objects, the
  half million events of a long outage made it halt the process, and all its calls, for most of a second.
* Acknowledgements go by sequence number, never by count: while a write is under way the buffer may overflow.
* Nothing here may raise into :meth:`SessionLog.emit`; it is called from the middle of a conversation.
"""

import asyncio
import itertools
import logging
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from sessions import scripts
from sessions.config import Config
from sessions.keys import LIVE, session_keys
from sessions.lease import Lease
from sessions.model import SessionRecord, TranscriptEntry, record_fields
from sessions.transcript import Transcript, encode_entry, field_name
from voicegate.kernel.errors import LeaseLost
from voicegate.kernel.events import Event, SessionEnded, decode, encode

_log = logging.getLogger(__name__)

OnEvent = Callable[[Event], None]
OnLost = Callable[[LeaseLost], None]


class Owner(Protocol):
    """What a log needs of its journal."""

    @property
    def away(self) -> bool: ...

    def changed(self, log: "SessionLog") -> None:
        """The log has something to write."""
        ...

    def hurry(self) -> None:
        """Somebody waits for what is to be written."""
        ...

    def grew(self, size_bytes: int) -> bool:
        """Memory was taken or (negative) given back. False: there is no more."""
        ...

    def dropped(self) -> None:
        """An event will never be stored."""
        ...


_Item: TypeAlias = tuple[int, bytes]
"""Sequence number, JSON."""


@dataclass(frozen=True, slots=True)
class Write:
    """One script call and what it will have stored when it is acknowledged."""

    call: scripts.Call
    events: int
    entries: dict[str, TranscriptEntry]
    ended: bool


class SessionLog:
    """Takes a session's events; satisfies the pipeline's ``EventSink`` by shape. Made by :meth:`Journal.open`."""

    def __init__(
        self,
        owner: Owner,
        config: Config,
        record: SessionRecord,
        lease: Lease,
        lease_arguments: tuple[str | int, ...],
        entries: Iterable[TranscriptEntry],
        on_lost: OnLost | None,
    ) -> None:
        self.record = record
        self.lease = lease
        self.lost = asyncio.Event()
        """Set once another process owns the session; nothing is stored or delivered any more."""
        self.released = asyncio.Event()
        """Set once all is stored and the lease given up, after :meth:`close`; or the session is lost."""
        self._owner = owner
        self._config = config
        self._lease_arguments = lease_arguments
        self._on_lost = on_lost
        self._transcript = Transcript(entries)
        self._changed = {field_name(entry): entry for entry in self._transcript.entries()}
        self._pending: deque[_Item] = deque()
        self._waiting: deque[Event] = deque()
        self._delivering = False
        self._recent: deque[tuple[float, int, bytes]] = deque()
        self._stored_seq = lease.seq
        self._emitted_seq = lease.seq
        self._waiters: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._subscribers: list[OnEvent] = []
        self._ended: str | None = None
        self._end_stored = False
        self._restore = False
        self._closing = False

    # --- the EventSink port, and who listens ----------------------------------------------------------------------

    def emit(self, event: Event) -> None:
        """Take one event whose ``seq`` is above all before. Never blocks and never raises.

        A session that is full (or a process that is) gives up its own oldest unstored event; the transcript, which is
        folded here, loses nothing by that.
        """
        if self.lost.is_set() or self._closing:
            return
        try:
            self._take(event)
        except Exception:
            _log.exception("event %s of %s was not taken", type(event).__name__, self.record.id)
            self._owner.dropped()

    async def stored(self) -> None:
        """Return when everything emitted so far is stored, or at once while Redis is away or the lease is lost."""
        if self._owner.away or self.lost.is_set() or not self._pending:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((self._emitted_seq, future))
        self._owner.hurry()
        await future

    def subscribe(self, callback: OnEvent) -> Callable[[], None]:
        """Call back with every event from now on: once it is stored, or at once while Redis is away.

        In order and exactly once each, on the event loop. Returns the function that ends it.
        """
        self._subscribers.append(callback)
        return lambda: self._subscribers.remove(callback) if callback in self._subscribers else None

    def unstored(self) -> list[Event]:
        """Events that subscribers have had although Redis has not got them yet."""
        had = max(0, len(self._pending) - len(self._waiting))
        return [decode(data) for _, data in itertools.islice(self._pending, had)]

    def transcript(self) -> tuple[TranscriptEntry, ...]:
        """Entries as of the last emitted event."""
        return self._transcript.entries()

    def close(self) -> None:
        """No more events. What is left is stored, even if Redis is away for now, and then the lease given up."""
        self._closing = True
        self._owner.changed(self)
        self._owner.hurry()

    # --- what the journal calls -----------------------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        """There is nothing to write."""
        return self.lost.is_set() or self.released.is_set() or (self._all_stored and not self._closing)

    @property
    def _all_stored(self) -> bool:
        finished = self._ended is None or self._end_stored
        return finished and not (self._pending or self._changed or self._restore)

    def forgotten(self) -> None:
        """Redis has no such session: write all of it that we still have."""
        self._restore = True
        self._owner.changed(self)

    def write(self, limit: int) -> Write:
        """The next call to make, with at most ``limit`` events. Nothing is forgotten before :meth:`acknowledge`."""
        if self._restore:
            return self._restoring()
        if self._closing and self._all_stored:
            return self._releasing()
        items = list(itertools.islice(self._pending, limit))
        last = len(items) == len(self._pending)
        ended = self._ended is not None and last
        args: list[str | int | bytes] = [
            self.lease.token,
            round(self._config.retention_s * 1000),
            self._config.stream_max_events,
            self._stored_seq,
            int(ended),
            self._ended or "",
            len(items),
        ]
        for item in items:
            args += item
        entries, self._changed = self._changed, {}
        for name, entry in entries.items():
            args += (name, encode_entry(entry))
        keys = session_keys(self.record.id)
        call = scripts.Call(scripts.WRITE, (keys.session, keys.events, keys.transcript), tuple(args))
        return Write(call, len(items), entries, ended)

    def failed(self, write: Write) -> None:
        """The call was not answered; it may have been carried out all the same."""
        self._changed = write.entries | self._changed

    def acknowledge(self, write: Write, reply: object, now_s: float) -> None:
        """Redis answered."""
        match reply:
            case _ if write.call.script is scripts.RELEASE:
                self.released.set()
            case [scripts.LOST, _]:
                self.lose()
            case [scripts.FORGOTTEN, _]:
                self.failed(write)
                self.forgotten()
            case [scripts.BEHIND, bytes(seq)]:
                self._rewind(int(seq))
            case [1, bytes(seq)] if write.call.script is scripts.RESTORE:
                self._restore = False
                self._rewind(int(seq))
            case [1, bytes(seq)]:
                self._end_stored = self._end_stored or write.ended
                self._store(int(seq), now_s)
            case _:
                # Only this session is refused (somebody else's data under its key, say): the call goes on without it.
                _log.error("events of %s were refused: %s", self.record.id, reply)
                self._give_up(write.events or len(self._pending))

    def lose(self) -> None:
        """Another process owns the session."""
        if self.lost.is_set():
            return
        self.lost.set()
        self.released.set()  # else a call that moved while its process ends would be waited for
        self._waiting.clear()
        while self._pending:
            self._pop()
        self._wake(self._emitted_seq)
        if self._on_lost is not None:
            _guarded(self._on_lost, LeaseLost(f"session {self.record.id} is owned by another process now"))

    def away(self) -> None:
        """Redis went away: nobody waits for it any more."""
        self._deliver(self._emitted_seq)
        self._wake(self._emitted_seq)

    # --- inside ---------------------------------------------------------------------------------------------------

    def _take(self, event: Event) -> None:
        data = encode(event)
        self._emitted_seq = event.seq
        self._pending.append((event.seq, data))
        self._waiting.append(event)
        entry = self._transcript.apply(event)
        if entry is not None:
            self._changed[field_name(entry)] = entry
        if isinstance(event, SessionEnded):
            self._ended = event.reason
        if self._owner.away:
            self._deliver(event.seq)
        if not self._owner.grew(len(data)) or len(self._pending) > self._config.session_buffer_events:
            self._overflow()
        self._owner.changed(self)

    @property
    def _done_seq(self) -> int:
        """Nobody need wait for events up to here: they are stored, or given up."""
        return self._pending[0][0] - 1 if self._pending else self._emitted_seq

    def _overflow(self) -> None:
        self._deliver(self._pending[0][0])
        self._pop()
        self._owner.dropped()
        self._wake(self._done_seq)

    def _pop(self) -> _Item:
        item = self._pending.popleft()
        self._owner.grew(-len(item[1]))
        return item

    def _deliver(self, seq: int) -> None:
        """Hand pending events up to ``seq`` (all, while Redis is away) to the subscribers, once each."""
        if self._delivering:
            return  # A subscriber emitted; the loop below goes on with its event if it is due.
        self._delivering = True
        try:
            while self._waiting and (self._waiting[0].seq <= seq or self._owner.away):
                event = self._waiting.popleft()
                for subscriber in tuple(self._subscribers):
                    _guarded(subscriber, event)
        finally:
            self._delivering = False

    def _store(self, seq: int, now_s: float) -> None:
        """Everything up to ``seq`` is in Redis."""
        self._stored_seq = seq
        self._deliver(seq)
        while self._pending and self._pending[0][0] <= seq:
            self._recent.append((now_s, *self._pop()))
        while self._recent and self._recent[0][0] < now_s - self._config.rewrite_s:
            self._recent.popleft()
        self._wake(self._done_seq)

    def _rewind(self, seq: int) -> None:
        """Redis has only what came up to ``seq``: write again what we still have of the rest."""
        lost: list[_Item] = []
        while self._recent and self._recent[-1][1] > seq:  # The others stay: it may happen again at once.
            lost.append(self._recent.pop()[1:])
        self._stored_seq = seq
        self._end_stored = False
        for item in lost:
            self._pending.appendleft(item)
            self._owner.grew(len(item[1]))
        self._changed = {field_name(entry): entry for entry in self._transcript.entries()}
        self._owner.changed(self)

    def _restoring(self) -> Write:
        fields = [part for pair in record_fields(self.record).items() for part in pair]
        args = (*self._lease_arguments, *fields)
        call = scripts.Call(scripts.RESTORE, (*session_keys(self.record.id), LIVE), args)
        return Write(call, 0, {}, False)

    def _releasing(self) -> Write:
        keys = session_keys(self.record.id)
        args = (self.record.id, self.lease.owner, self.lease.token)
        return Write(scripts.Call(scripts.RELEASE, (keys.session, keys.lease, LIVE), args), 0, {}, False)

    def _give_up(self, events: int) -> None:
        self._end_stored = self._ended is not None
        self._restore = False
        for _ in range(min(events, len(self._pending))):
            self._overflow()

    def _wake(self, seq: int) -> None:
        while self._waiters and self._waiters[0][0] <= seq:
            future = self._waiters.popleft()[1]
            if not future.done():
                future.set_result(None)


def _guarded(callback: Callable[[Event], None] | Callable[[LeaseLost], None], argument: object) -> None:
    """A listener's fault is its own; the log goes on."""
    try:
        callback(argument)  # type: ignore[arg-type]
    except Exception:
        _log.exception("a listener of session events failed")
