"""Resuming over a real Redis: after a killed process, against a living one, and within the same."""

import asyncio
import contextlib
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from sessions.keys import session_keys
from sessions.resume import ResumeState, follow, resume
from voicegate.kernel.clock import SystemClock
from voicegate.kernel.errors import RefusedCall, StateUnavailable
from voicegate.kernel.events import Event, ReplyHeard, ReplyStarted, ReplyText, SessionEnded, TurnCommitted
from voicegate.kernel.ids import SessionId, TurnId

CALL = SessionId("call")
SECRET = "a long random secret"

PROCESS = """
import asyncio, sys
from datetime import UTC, datetime
from sessions.config import Config
from sessions.connection import open_client
from sessions.journal import Journal
from sessions.lease import Leases
from sessions.store import Store
from voicegate.kernel.events import ReplyHeard, ReplyStarted, ReplyText, TurnCommitted

async def main():
    config = Config()
    client = open_client(sys.argv[1], config)
    async with Leases(client, config, "doomed") as leases, Journal(client, config, leases) as journal:
        record = await Store(client, config).create(
            "call", agent="front desk", transport="websocket", resume_secret="a long random secret",
            context={"caller": "+4930123"},
        )
        async with journal.open(record, await leases.acquire("call")) as log:
            common = {"session_id": "call", "at": datetime.now(UTC), "turn": 1}
            log.emit(TurnCommitted(seq=1, text="When do you open?", **common))
            log.emit(ReplyStarted(seq=2, agent="front desk", **common))
            log.emit(ReplyText(seq=3, text="We open at nine", **common))
            log.emit(ReplyText(seq=4, text="every day but Sunday.", **common))
            log.emit(ReplyHeard(seq=5, text="We open at", **common))
            await log.stored()
            print("stored", flush=True)
            await asyncio.Event().wait()

asyncio.run(main())
"""


async def take_over(gateway: Any, **arguments: Any) -> ResumeState:
    given = {"secret": SECRET, **arguments}
    return await resume(gateway.store, gateway.leases, gateway.config, SystemClock(), CALL, **given)


async def create(gateway: Any) -> Any:
    record = await gateway.store.create(CALL, agent="a", transport="websocket", resume_secret=SECRET)
    return gateway.journal.open(record, await gateway.leases.acquire(CALL))


async def test_a_killed_process_loses_nothing_that_was_stored(gateway: Any, redis_url: str) -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", PROCESS, redis_url, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"stored\n"
    process.kill()
    await process.wait()

    state = await take_over(gateway, last_seq=2)
    assert state.record.context == {"caller": "+4930123"}
    assert (state.record.owner, state.record.status, state.late) == ("gateway-a", "live", False)
    assert [event.seq for event in state.missed] == [3, 4, 5]
    assert (state.next_seq, state.lost_events) == (6, 0)
    user, agent = state.transcript
    assert user.text == "When do you open?"
    assert (agent.text, agent.state, agent.generated) == (
        "We open at",
        "interrupted",
        "We open at nine every day but Sunday.",
    )

    async with gateway.journal.open(state.record, state.lease, transcript=state.transcript) as log:
        log.emit(TurnCommitted(session_id=CALL, seq=6, at=agent.at, turn=TurnId(2), text="And on Sunday?"))
        await log.stored()
        stored = await gateway.store.transcript(CALL)
        assert [entry.text for entry in stored] == ["When do you open?", "We open at", "And on Sunday?"]
        assert stored[1].state == "interrupted"
        assert [event.seq for event in await gateway.store.events_after(CALL, 0)] == [1, 2, 3, 4, 5, 6]


async def test_a_living_process_is_fenced_by_the_resume(open_gateway: Any, until: Any, emit: Any) -> None:
    old, new = await open_gateway("old"), await open_gateway("new")
    async with await create(old) as old_log:
        emit(old_log, 1, 4)
        await old_log.stored()
        state = await take_over(new, last_seq=4)
        assert (state.missed, state.next_seq) == ((), 5)
        async with new.journal.open(state.record, state.lease, transcript=state.transcript) as log:
            emit(log, 5, 5)
            await log.stored()
            await until(old_log.lost.is_set)
    assert [event.seq for event in await new.store.events_after(CALL, 0)] == [1, 2, 3, 4, 5]


async def test_only_the_secret_opens_a_session(gateway: Any) -> None:
    async with await create(gateway) as log:
        for secret in ("", "a guess"):
            with pytest.raises(RefusedCall) as wrong:
                await take_over(gateway, secret=secret)
            assert wrong.value.code == "resume_refused"
        assert not log.lost.is_set()
        stored = await gateway.client.hgetall(session_keys(CALL).session)
        assert SECRET.encode() not in b" ".join(stored.values())
    with pytest.raises(RefusedCall) as unknown:
        await resume(gateway.store, gateway.leases, gateway.config, SystemClock(), SessionId("other"), secret=SECRET)
    assert str(unknown.value) == str(wrong.value), "whether the session exists is not told"


@pytest.mark.parametrize("last_seq", [0, 2])
async def test_a_session_without_a_secret_is_never_resumed(gateway: Any, last_seq: int) -> None:
    async with gateway.call():
        pass
    with pytest.raises(RefusedCall):
        await take_over(gateway, secret="", last_seq=last_seq)


async def test_an_ended_session_is_resumed_only_if_its_client_vanished(gateway: Any) -> None:
    for reason in ("disconnected", "hangup"):
        async with await create(gateway) as log:
            log.emit(SessionEnded(session_id=CALL, seq=1, at=log.record.created_at, reason=reason))
        if reason == "hangup":
            with pytest.raises(RefusedCall, match="hangup"):
                await take_over(gateway)
            continue
        state = await take_over(gateway)
        assert state.record.status == "live"
        assert (await gateway.store.load(CALL)).status == "live"
        await gateway.client.delete(*session_keys(CALL))


async def test_who_comes_back_late_is_told_so(gateway: Any) -> None:
    async with await create(gateway):
        pass
    hurried = replace(gateway, config=replace(gateway.config, resume_window_s=-1))
    assert (await take_over(hurried)).late
    assert not (await take_over(gateway)).late


async def test_events_that_are_gone_are_counted(gateway: Any, emit: Any) -> None:
    async with await create(gateway) as log:
        emit(log, 1, 20)
        await log.stored()
        await gateway.client.xtrim(session_keys(CALL).events, maxlen=5, approximate=False)
    state = await take_over(gateway, last_seq=10)
    assert [event.seq for event in state.missed] == [16, 17, 18, 19, 20]
    assert state.lost_events == 5


async def test_a_client_that_saw_more_than_was_stored_gets_higher_numbers(gateway: Any, emit: Any) -> None:
    async with await create(gateway) as log:
        emit(log, 1, 3)
    state = await take_over(gateway, last_seq=9)
    assert (state.next_seq, state.lost_events, state.missed) == (10, 0, ())
    async with gateway.journal.open(state.record, state.lease) as log:
        emit(log, 10, 11)
        await log.stored()
    assert [event.seq for event in await gateway.store.events_after(CALL, 0)] == [1, 2, 3, 10, 11]


async def test_a_client_back_in_the_same_process_misses_nothing(gateway: Any, emit: Any) -> None:
    async with await create(gateway) as log:
        emit(log, 1, 1500)
        got: list[Event] = []
        following = asyncio.ensure_future(follow(gateway.store, log, got.append, last_seq=700))
        sent = 1500
        while not following.done():
            sent += 1
            emit(log, sent, sent)
            await asyncio.sleep(0)
        emit(log, sent + 1, sent + 10)
        await log.stored()
        assert [event.seq for event in got] == list(range(701, sent + 11))
        (await following)()
        emit(log, sent + 11, sent + 12)
        await log.stored()
        assert len(got) == sent + 10 - 700


async def test_a_client_back_right_after_an_outage_misses_nothing(
    gateway: Any, emit: Any, server: Any, until: Any
) -> None:
    async with await create(gateway) as log:
        emit(log, 1, 10)
        await log.stored()
        server.hang()
        emit(log, 11, 6000)
        await until(lambda: gateway.journal.away)
        got: list[Event] = []
        with pytest.raises(StateUnavailable):
            await follow(gateway.store, log, got.append, last_seq=5)
        server.go_on()
        while True:
            with contextlib.suppress(StateUnavailable):
                await follow(gateway.store, log, got.append, last_seq=5)
                break
        await until(lambda: not gateway.journal.away)
        emit(log, 6001, 6010)
        await log.stored()
        assert [event.seq for event in got] == list(range(6, 6011))


async def test_a_new_session_replaces_an_old_one_only_when_told_and_unheld(gateway: Any, emit: Any) -> None:
    async with gateway.call() as log:
        emit(log, 1, 4)
        for replacing in (False, True):
            with pytest.raises(RefusedCall, match="exists"):
                await gateway.store.create(CALL, agent="b", transport="websocket", replace=replacing)
    with pytest.raises(RefusedCall, match="exists"):
        await gateway.store.create(CALL, agent="b", transport="websocket")
    await gateway.store.create(CALL, agent="b", transport="websocket", replace=True)
    assert await gateway.store.events_after(CALL, 0) == []
    assert await gateway.store.transcript(CALL) == ()
    lease = await gateway.leases.acquire(CALL)
    assert lease.token == log.lease.token + 1, "an owner of the old session stays fenced"


async def test_an_orphan_is_ended_and_a_held_session_is_not(gateway: Any) -> None:
    async with gateway.call():
        assert not await gateway.store.end(CALL, "process_gone")
    assert await gateway.store.end(CALL, "process_gone")
    assert await gateway.store.end(CALL, "something else")
    record = await gateway.store.load(CALL)
    assert (record.status, record.ended_reason) == ("ended", "process_gone")
    assert not await gateway.store.end(SessionId("unknown"), "process_gone")
    assert await gateway.store.load(SessionId("unknown")) is None


async def test_times_come_from_redis(gateway: Any) -> None:
    async with gateway.call() as log:
        seconds, microseconds = await gateway.client.time()
        assert abs(log.record.created_at.timestamp() - (seconds + microseconds / 1e6)) < 5
        log.emit(
            TurnCommitted(
                session_id=CALL, seq=1, at=log.record.created_at - timedelta(days=400), turn=TurnId(1), text="hi"
            )
        )
        log.emit(ReplyStarted(session_id=CALL, seq=2, at=log.record.created_at, turn=TurnId(1)))
        log.emit(ReplyText(session_id=CALL, seq=3, at=log.record.created_at, turn=TurnId(1), text="Hi."))
        log.emit(ReplyHeard(session_id=CALL, seq=4, at=log.record.created_at, turn=TurnId(1), text="Hi."))
        await log.stored()
        assert (await gateway.store.load(CALL)).updated_at >= log.record.created_at
