"""Taking a session over where it stopped: for a client that lost its socket, or whose process died."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from sessions.config import Config
from sessions.lease import Lease, Leases
from sessions.log import SessionLog
from sessions.model import DISCONNECTED, SessionRecord, TranscriptEntry, may_resume
from sessions.store import Store
from sessions.transcript import settle
from voicegate.kernel.clock import Clock
from voicegate.kernel.errors import RefusedCall
from voicegate.kernel.events import Event
from voicegate.kernel.ids import SessionId


@dataclass(frozen=True, slots=True)
class ResumeState:
    """All that a process needs to go on with a session."""

    record: SessionRecord
    lease: Lease
    next_seq: int
    """The number of the next event. Above what is stored and above what the client has already had."""
    missed: tuple[Event, ...]
    """What the client has not had, in order."""
    lost_events: int
    """How many events the client has not had and never will: trimmed, or dropped in an outage."""
    transcript: tuple[TranscriptEntry, ...]
    """Settled: a reply the old process was still speaking counts only as far as it was heard."""
    late: bool
    """The client came back after the resume window: greet it again rather than go on in mid-sentence."""


async def resume(
    store: Store,
    leases: Leases,
    config: Config,
    clock: Clock,
    session_id: SessionId,
    *,
    secret: str,
    last_seq: int = 0,
) -> ResumeState:
    """Take the session over for the client that has its secret and saw its events up to ``last_seq``.

    Works on a session whose process died, on one that another process still holds (that one is fenced out: it cannot
    write any more and is told so), and on one that ended because its client disconnected. The window is counted with
    Redis' clock from the session's last sign of life to ``clock``; a skew of seconds between the two only moves the
    greeting.

    Raises:
        RefusedCall: ``resume_refused`` (no such session or not its secret, which are not told apart) or
            ``session_ended``.
        StateUnavailable: Redis is away.
    """
    record = await store.load(session_id)
    if record is None or not may_resume(record, secret):
        raise RefusedCall("resume_refused", "no session with this id and secret")
    if record.status == "ended" and record.ended_reason != DISCONNECTED:
        raise RefusedCall("session_ended", f"session {session_id} has ended: {record.ended_reason}")
    late = clock.utc() - record.updated_at > timedelta(seconds=config.resume_window_s)
    lease = await leases.acquire(session_id, steal=True)
    # Only now nobody else can write: what is read from here on is final.
    missed = await store.events_after(session_id, last_seq)
    entries = await store.transcript(session_id)
    return ResumeState(
        record=replace(record, status="live", owner=lease.owner, ended_reason=""),
        lease=lease,
        next_seq=max(lease.seq, last_seq) + 1,
        missed=tuple(missed),
        lost_events=max(0, lease.seq - last_seq) - len(missed),
        transcript=tuple(settle(entry) for entry in entries),
        late=late,
    )


async def follow(
    store: Store, log: SessionLog, callback: Callable[[Event], None], last_seq: int = 0
) -> Callable[[], None]:
    """Give a client that comes back to the process of its running session every event after ``last_seq``.

    First what is stored, then what goes on, in order and without a gap or a repetition. Returns the function that
    ends the subscription.

    Raises:
        StateUnavailable: Redis is away; nothing is subscribed.
    """
    waiting: list[Event] = []
    follower = _Follower(callback, waiting, last_seq)
    end = log.subscribe(follower)
    # Taken before the read: what is stored later than this is either here, or still to be delivered.
    unstored = log.unstored()
    try:
        stored = await store.events_after(log.record.id, last_seq)
    except BaseException:
        end()
        raise
    follower.catch_up({event.seq: event for event in (*stored, *unstored, *waiting)})
    return end


class _Follower:
    """Holds events back until the older ones have been read, then passes them on."""

    def __init__(self, callback: Callable[[Event], None], waiting: list[Event], seq: int) -> None:
        self._callback = callback
        self._waiting: list[Event] | None = waiting
        self._seq = seq

    def __call__(self, event: Event) -> None:
        if self._waiting is not None:
            self._waiting.append(event)
        elif event.seq > self._seq:
            self._seq = event.seq
            self._callback(event)

    def catch_up(self, events: dict[int, Event]) -> None:
        self._waiting = None
        for seq in sorted(events):
            self(events[seq])
