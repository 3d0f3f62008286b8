"""Following a running session: what is stored, what is not yet, and what comes meanwhile, each once."""

from datetime import UTC, datetime
from typing import Any, cast

import pytest

from sessions.config import Config
from sessions.lease import Lease
from sessions.log import SessionLog
from sessions.model import SessionRecord
from sessions.resume import follow
from sessions.store import Store
from voicegate.kernel.errors import StateUnavailable
from voicegate.kernel.events import Event, SpeechStarted
from voicegate.kernel.ids import SessionId

NOW = datetime(2025, 3, 1, tzinfo=UTC)
CALL = SessionId("s")


class Owner:
    away = False

    def changed(self, log: SessionLog) -> None:
        pass

    def hurry(self) -> None:
        pass

    def grew(self, size_bytes: int) -> bool:
        return True

    def dropped(self) -> None:
        raise AssertionError("nothing may be dropped here")


class Stored:
    """A store that answers with ``seqs``, after something else has happened."""

    def __init__(self, seqs: list[int], meanwhile: Any = None) -> None:
        self._seqs = seqs
        self._meanwhile = meanwhile

    async def events_after(self, session_id: SessionId, seq: int) -> list[Event]:
        if self._meanwhile is not None:
            self._meanwhile()
        return [event(stored) for stored in self._seqs if stored > seq]


def event(seq: int) -> Event:
    return SpeechStarted(session_id=CALL, seq=seq, at=NOW, audio_ms=seq)


def open_log(owner: Owner) -> SessionLog:
    return SessionLog(
        owner, Config(), SessionRecord(CALL, "a", "live", NOW, NOW), Lease(CALL, "me", 1, 0), (), (), None
    )


def acknowledge(log: SessionLog) -> None:
    write = log.write(100)
    log.acknowledge(write, [1, str(log.lease.seq + write.events).encode()], 0.0)


async def following(store: Stored, log: SessionLog, last_seq: int = 0) -> list[int]:
    got: list[int] = []
    await follow(cast(Store, store), log, lambda happened: got.append(happened.seq), last_seq)
    return got


async def test_what_is_stored_but_not_yet_acknowledged_comes_once() -> None:
    log = open_log(Owner())
    for seq in (1, 2, 3):
        log.emit(event(seq))
    got = await following(Stored([1, 2, 3]), log, last_seq=1)
    acknowledge(log)
    assert got == [2, 3]


async def test_what_was_delivered_in_an_outage_and_is_not_stored_comes_too() -> None:
    owner = Owner()
    log = open_log(owner)
    owner.away = True
    for seq in (1, 2, 3):
        log.emit(event(seq))
    owner.away = False
    log.emit(event(4))
    got = await following(Stored([]), log)
    assert got == [1, 2, 3], "the fourth is not stored, and nobody is away"
    acknowledge(log)
    assert got == [1, 2, 3, 4]


async def test_what_is_delivered_while_the_store_is_read_waits_for_the_older() -> None:
    log = open_log(Owner())
    for seq in (1, 2, 3):
        log.emit(event(seq))
    got = await following(Stored([1, 2], meanwhile=lambda: acknowledge(log)), log)
    assert got == [1, 2, 3]


async def test_without_a_store_nothing_is_followed() -> None:
    log = open_log(Owner())

    def fail() -> None:
        raise StateUnavailable("away")

    got: list[Event] = []
    with pytest.raises(StateUnavailable):
        await follow(cast(Store, Stored([], meanwhile=fail)), log, got.append)
    log.emit(event(1))
    acknowledge(log)
    assert got == []
