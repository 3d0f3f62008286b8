"""Names of everything a session has in Redis. No other module spells a key."""

from typing import NamedTuple

PREFIX = "voicegate:session:"
LIVE = "voicegate:sessions:live"
"""Sorted set: session id -> when its lease ends, milliseconds since the epoch on Redis' clock."""


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
