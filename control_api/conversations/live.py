"""Events of a call as they happen, for Server-Sent Events (WHATWG HTML section 9.2)."""

import asyncio
from collections.abc import AsyncIterator

from control_api.degradation.conditions import Conditions
from sessions.store import Store
from voicegate.kernel.clock import Clock
from voicegate.kernel.errors import StateUnavailable
from voicegate.kernel.events import Event, Notice, SessionEnded, encode
from voicegate.kernel.ids import SessionId

_EVERY_S = 0.1
_HEARTBEAT_S = 15.0
_LONGEST_S = 3600.0
"""A stream ends by itself after so long; the client comes back with Last-Event-ID, and with a fresh token."""


async def stream(
    store: Store, session_id: SessionId, after_seq: int, clock: Clock, conditions: Conditions
) -> AsyncIterator[bytes]:
    """All stored events after ``after_seq``, then those that come, until the call ends. Between them, without an id and
    with the number 0, notices of the API's own: what is away now, and what changes.

    Each look is a short question to Redis: however many clients watch, none holds a connection.
    """
    seq, began_s = after_seq, clock.monotonic()
    spoke_s = began_s
    yield b"retry: 1000\n\n"
    told = conditions.newest
    for each in conditions.current:
        yield _notice(Notice(session_id=session_id, seq=0, at=each.since, code=each.code, message=each.detail))
    while clock.monotonic() - began_s < _LONGEST_S:
        try:
            events = await store.events_after(session_id, seq)
        except StateUnavailable:
            events = []  # the client hears nothing for a while, and misses nothing
        for change in conditions.after(told):
            told = change.number
            yield _notice(Notice(session_id=session_id, seq=0, at=change.at, code=change.code, message=change.message))
        for event in events:
            yield _message(event)
            seq, spoke_s = event.seq, clock.monotonic()
        if events and isinstance(events[-1], SessionEnded):
            return
        if clock.monotonic() - spoke_s >= _HEARTBEAT_S:
            spoke_s = clock.monotonic()
            yield b": still here\n\n"
        if not events and await _is_over(store, session_id):
            return
        await asyncio.sleep(_EVERY_S)


async def _is_over(store: Store, session_id: SessionId) -> bool:
    """Nothing more will come: the session has ended, or is forgotten."""
    try:
        record = await store.load(session_id)
    except StateUnavailable:
        return False
    return record is None or record.status == "ended"


def _notice(notice: Notice) -> bytes:
    return b"event: notice\ndata: %s\n\n" % encode(notice)


def _message(event: Event) -> bytes:
    data = encode(event)
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.seq, _type(event), data)


def _type(event: Event) -> bytes:
    return str(type(event).__struct_config__.tag).encode()
