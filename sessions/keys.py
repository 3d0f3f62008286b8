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
    """Hash: a published agent's ``version``, ``name`` and ``snapshot`` (JSON). It has no expiry."""
    return f"voicegate:agent:{agent_id}"


PUBLISHED = "voicegate:agents"
"""Sorted set: ids of published agents -> when they were brought, milliseconds since the epoch on Redis' clock."""


def note_key(name: str) -> str:
    """String: a note of :class:`sessions.notes.SharedNotes`. It has an expiry."""
    return f"voicegate:note:{name}"


def spent_key(token_id: str) -> str:
    """String: a single-use token that was used. It has an expiry."""
    return f"voicegate:spent:{token_id}"


def budget_key(session_id: str) -> str:
    """String: what a call may cost (:class:`sessions.budget.Budget`). It has an expiry."""
    return f"voicegate:budget:{session_id}"


def available_key(organization_id: str) -> str:
    """String: micro-credits that an organisation's next call may begin with. It has a short expiry."""
    return f"voicegate:credits:{organization_id}"


ANSWERS = "voicegate:answers"
"""Sorted set: ``{organisation}:{digest}`` of each answer of the control API that is kept -> when it was written,
milliseconds since the epoch on Redis' clock. It has an expiry, as the two below."""

ANSWER_SIZES = "voicegate:answers:sizes"
"""Hash: the same members -> bytes; the empty field has their sum."""

ANSWER_PREFIX = "voicegate:answer:"


def answer_key(member: str) -> str:
    """String: one answer of the control API, for when the database is away. It has an expiry."""
    return ANSWER_PREFIX + member


def forgotten_key(organization_id: str) -> str:
    """String: when the organisation's answers were forgotten last, milliseconds since the epoch. It has an expiry."""
    return f"voicegate:answers:forgotten:{organization_id}"


def seen_token_key(digest: str) -> str:
    """String: claims of a token that was seen as good, by its SHA-256. It has an expiry."""
    return f"voicegate:seen:{digest}"


def order_channel(owner: str) -> str:
    """Channel on which the process of this owner's name takes orders (:mod:`sessions.orders`)."""
    return f"voicegate:orders:{owner}"


def order_key(session_id: str, order_id: str) -> str:
    """String: what became of an order, ``claimed`` while it is being carried out. It has an expiry."""
    return f"voicegate:order:{session_id}:{order_id}"


def order_answer_key(answer_to: str) -> str:
    """List: the answer to an order. It has a short expiry."""
    return f"voicegate:order-answer:{answer_to}"


def notifications_key(organization_id: str) -> str:
    """Stream: what an organisation was told, each entry as JSON in the field ``n``. It has an expiry."""
    return f"voicegate:notifications:{organization_id}"


def run_key(run_id: str) -> str:
    """String: a process has this run of an agent. It has a short expiry."""
    return f"voicegate:run:{run_id}"


def told_key(name: str) -> str:
    """String: a notification that is in its stream already. It has an expiry."""
    return f"voicegate:told:{name}"


def missing_key(name: str) -> str:
    """String: something was looked for and was not there (:meth:`sessions.budget.BudgetShelf.missing_s`). It has an
    expiry."""
    return f"voicegate:missing:{name}"
