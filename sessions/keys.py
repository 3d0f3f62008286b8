"""Names of everything a session has in Redis. No other module spells a key."""

from typing import NamedTuple

PREFIX = "voicegate:session:"
LIVE = "voicegate:sessions:live"
"""Sorted set: session id -> when its lease ends, milliseconds since the epoch on Redis' clock."""

BEGUN = "voicegate:sessions:begun"
"""Stream: an entry for each call that began or was taken over, with the session's id in the field ``s``. Whoever
follows calls waits here."""


class SessionKeys(NamedTuple):
    """The keys of one session. Each always has an expiry."""

    session: str
    """Hash: the record, the sequence number stored last (``seq``) and the fencing token (``fence``)."""
    events: str
    """Stream: entry ``{seq}-0`` with one field ``e``, the event as JSON."""
    transcript: str
    """Hash: ``{turn}:{role}`` -> the entry as JSON."""
    lease: str
    """String ``{token}:{owner}``, gone when the owner has not renewed it in time."""


def session_keys(session_id: str) -> SessionKeys:
    session = PREFIX + session_id
    return SessionKeys(session, f"{session}:events", f"{session}:transcript", f"{session}:lease")


def agent_key(agent_id: str) -> str:
    """Hash: a published agent's ``version`` and ``snapshot`` (JSON). It has no expiry."""
    return f"voicegate:agent:{agent_id}"


def note_key(name: str) -> str:
    """String: a note of :class:`sessions.notes.SharedNotes`. It has an expiry."""
    return f"voicegate:note:{name}"


def spent_key(token_id: str) -> str:
    """String: a single-use token that was used. It has an expiry."""
    return f"voicegate:spent:{token_id}"
