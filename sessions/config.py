"""What the package is told; times in seconds, sizes in bytes or events."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of session state. The defaults carry 500 calls through a minute without Redis."""

    redis_timeout_s: float = 1.0
    """Bound of connecting and of each answer. Short, because a new call must be refused while its caller waits."""
    retention_s: float = 24 * 3600
    """How long a session's keys outlive its last write."""
    lease_ttl_s: float = 10.0
    """A process that does not renew for so long no longer owns its sessions. Renewed three times as often."""
    resume_window_s: float = 60.0
    """How long a session waits for a client that disconnected before it ends with the reason ``disconnected``."""
    stream_max_events: int = 100_000
    """Length of a session's event stream; about 1.5 hours of lively talk with every interim text."""
    session_buffer_events: int = 8_192
    """Unstored events one session may hold in memory while Redis is away: 20 a second for nearly 7 minutes."""
    total_buffer_bytes: int = 384 * 1024 * 1024
    """Unstored JSON all sessions may hold: 500 calls × 20 events a second × 60 s × 300 bytes are 172 MiB."""
    batch_events: int = 2_000
    """Most events in one round trip, so that the backlog of an outage cannot itself run into the timeout."""
    gather_s: float = 0.04
    """How long events wait for others, unless somebody waits for them: a round trip costs much more than one more
    event ..."""
    gather_from_sessions: int = 8
    """... from so many sessions on."""
    rewrite_s: float = 5.0
    """How long stored events are kept in memory, to be written again if Redis comes back without them. Longer than
    the second that ``appendfsync everysec`` may lose, and than the usual lag of a replica that takes over."""
    retry_first_s: float = 0.05
    retry_most_s: float = 1.0
    """Back-off while Redis is away: first wait, then doubling up to the most."""
    close_timeout_s: float = 5.0
    """How long closing the journal may wait for its last events to be stored."""
