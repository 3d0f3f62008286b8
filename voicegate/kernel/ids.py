"""Identifiers. Each is a distinct type for the checker and plain data at run time."""

import uuid
from typing import NamedTuple, NewType

SessionId = NewType("SessionId", str)
"""One connection's life, chosen by the client or by us: 1 to 64 characters of ``[A-Za-z0-9_-]``."""

TurnId = NewType("TurnId", int)
"""Rises by one for every committed user turn or agent-initiated reply of a session, from 1."""


class ReplyId(NamedTuple):
    """One attempt to answer a turn. A revoked speculation and the reply that replaces it share the turn.

    Everything late (text, audio, tool results) is recognised by this id and never by timing.
    """

    turn: TurnId
    attempt: int


def new_session_id() -> SessionId:
    """A random session id (UUID 4)."""
    return SessionId(str(uuid.uuid4()))
