"""The journal over a real Redis: order, batches, fencing, outages, expiry."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
import redis

from sessions import scripts
from sessions.connection import open_client
from sessions.keys import LIVE, session_keys
from sessions.model import TranscriptEntry
from sessions.transcript import Transcript
from voicegate.kernel.errors import LeaseLost, RefusedCall, StateUnavailable
from voicegate.kernel.events import Event, ReplyStarted, ReplyText, SessionEnded, TurnCommitted
from voicegate.kernel.ids import SessionId, TurnId

CALL = SessionId("call")


def seqs(events: list[Event]) -> list[int]:
    return [event.seq for event in events]


async def test_events_are_stored_in_order_and_read_after_a_number(gateway: Any, emit: Any) -> None:
    async with gateway.call() as log:
        emit(log, 1, 2500)
        await log.stored()
        assert seqs(await gateway.store.events_after(CALL, 0)) == list(range(1, 2501))
        assert seqs(await gateway.store.events_after(CALL, 2497)) == [2498, 2499, 2500]
        entries = await gateway.client.xrange(session_keys(CALL).events, count=2)
        assert [entry_id for entry_id, _ in entries] == [b"1-0", b"2-0"]


async def test_what_is_emitted_together_goes_in_few_round_trips(gateway: Any, emit: Any) -> None:
    async with gateway.call("a") as one, gateway.call("b") as two:
        await gateway.client.config_resetstat()
        for seq in range(1, 101):
            emit(one, seq, seq)
            emit(two, seq, seq)
        await asyncio.gather(one.stored(), two.stored())
        statistics = await gateway.client.info("commandstats")
        assert statistics["cmdstat_xadd"]["calls"] == 200
        assert statistics["cmdstat_evalsha"]["calls"] <= 20


async def test_events_of_many_calls_wait_for_one_another_but_nobody_waits_for_that(
    open_gateway: Any, emit: Any, until: Any
) -> None:
    first = await open_gateway()
    gateway = await open_gateway("patient", replace(first.config, gather_s=0.3, gather_from_sessions=2))
    async with gateway.call("a") as one, gateway.call("b") as two:
        await gateway.client.config_resetstat()
        for seq in range(1, 11):
            emit(one, seq, seq)
            emit(two, seq, seq)
            await asyncio.sleep(0.005)
        await until(lambda: not one._pending and not two._pending)
        statistics = await gateway.client.info("commandstats")
        assert statistics["cmdstat_evalsha"]["calls"] <= 6, "the ten of each call went in a few trips"
        started = asyncio.get_running_loop().time()
        for seq in range(11, 16):
            emit(one, seq, seq)
            await one.stored()
        assert asyncio.get_running_loop().time() - started < 5 * 0.3, "whoever waits is not kept waiting"


async def test_a_listener_gets_an_event_only_after_it_is_stored(gateway: Any, emit: Any, redis_url: str) -> None:
    with redis.Redis.from_url(redis_url, protocol=2) as looking_on:
        async with gateway.call() as log:
            got: list[tuple[int, int]] = []

            def look(event: Event) -> None:
                got.append((event.seq, int(looking_on.hget(session_keys(CALL).session, "seq") or 0)))

            log.subscribe(look)
            for seq in range(1, 40):
                emit(log, seq, seq)
                await asyncio.sleep(0)
            await log.stored()
            assert [seq for seq, _ in got] == list(range(1, 40))
            assert all(stored >= seq for seq, stored in got)


async def test_a_listener_that_fails_or_leaves_harms_nobody(gateway: Any, emit: Any) -> None:
    async with gateway.call() as log:
        first: list[Event] = []
        second: list[Event] = []

        def fail(event: Event) -> None:
            raise RuntimeError("broken listener")

        log.subscribe(fail)
        end = log.subscribe(first.append)
        log.subscribe(second.append)
        emit(log, 1, 3)
        await log.stored()
        end()
        end()
        emit(log, 4, 5)
        await log.stored()
        assert seqs(first) == [1, 2, 3]
        assert seqs(second) == [1, 2, 3, 4, 5]


async def test_the_same_write_twice_changes_nothing(gateway: Any, emit: Any) -> None:
    async with gateway.call() as log:
        emit(log, 1, 5)
        write = log.write(100)
        log.failed(write)
        first = await scripts.run(gateway.client, write.call)
        assert await scripts.run(gateway.client, replace(write.call)) == first == [1, b"5"]
        emit(log, 6, 7)
        await log.stored()
        assert seqs(await gateway.store.events_after(CALL, 0)) == list(range(1, 8))


async def test_the_transcript_is_stored_with_the_events(gateway: Any) -> None:
    async with gateway.call() as log:
        at = log.record.created_at
        turn = TurnId(1)
        log.emit(TurnCommitted(session_id=CALL, seq=1, at=at, turn=turn, text="Hello?"))
        log.emit(ReplyStarted(session_id=CALL, seq=2, at=at, turn=turn, agent="front desk"))
        log.emit(ReplyText(session_id=CALL, seq=3, at=at, turn=turn, text="Good morning."))
        await log.stored()
        assert await gateway.store.transcript(CALL) == (
            TranscriptEntry(turn, "user", "Hello?", at),
            TranscriptEntry(turn, "agent", "Good morning.", at, "Good morning.", "", "speaking", "front desk"),
        )


async def test_an_ended_session_is_recorded_and_released(gateway: Any, emit: Any) -> None:
    async with gateway.call() as log:
        assert await gateway.store.live_ids() == [CALL]
        assert await gateway.store.live_count() == 1
        emit(log, 1, 3)
        log.emit(SessionEnded(session_id=CALL, seq=4, at=log.record.created_at, reason="hangup"))
    record = await gateway.store.load(CALL)
    assert (record.status, record.ended_reason, record.owner) == ("ended", "hangup", "gateway-a")
    assert await gateway.store.live_count() == 0
    assert not await gateway.client.exists(session_keys(CALL).lease)


async def test_who_was_fenced_can_never_write_again(open_gateway: Any, emit: Any) -> None:
    old, new = await open_gateway("old"), await open_gateway("new")
    lost: list[LeaseLost] = []
    delivered: list[Event] = []
    record = await old.store.create(CALL, agent="a", transport="websocket")
    async with old.journal.open(record, await old.leases.acquire(CALL), on_lost=lost.append) as old_log:
        old_log.subscribe(delivered.append)
        emit(old_log, 1, 3)
        await old_log.stored()
        lease = await new.leases.acquire(CALL, steal=True)
        assert (lease.token, lease.seq) == (old_log.lease.token + 1, 3)
        async with new.journal.open(record, lease) as new_log:
            emit(old_log, 4, 6)
            await old_log.stored()
            assert old_log.lost.is_set()
            emit(new_log, 4, 4)
            emit(old_log, 7, 9)
            await asyncio.gather(new_log.stored(), old_log.stored())
            assert seqs(await new.store.events_after(CALL, 0)) == [1, 2, 3, 4]
            assert (await new.store.events_after(CALL, 3))[0].at != delivered[-1].at
    assert len(lost) == 1
    assert seqs(delivered) == [1, 2, 3]
    assert not new_log.lost.is_set()


async def test_an_owner_that_is_silent_learns_of_its_loss_by_the_renewal(open_gateway: Any, until: Any) -> None:
    old, new = await open_gateway("old"), await open_gateway("new")
    async with old.call() as log:
        await new.leases.acquire(CALL, steal=True)
        await until(log.lost.is_set)


async def test_a_held_session_is_refused_until_its_lease_runs_out(open_gateway: Any, until: Any) -> None:
    old, new = await open_gateway("old"), await open_gateway("new")
    await old.store.create(CALL, agent="a", transport="websocket")
    await old.leases.acquire(CALL)
    with pytest.raises(RefusedCall) as refused:
        await new.leases.acquire(CALL)
    assert refused.value.code == "session_busy"
    with pytest.raises(RefusedCall, match="no session"):
        await new.leases.acquire(SessionId("unknown"))
    async with asyncio.timeout(10):  # Nobody renews it: the old process never opened its log.
        while await new.client.exists(session_keys(CALL).lease):
            await asyncio.sleep(0.02)
    assert (await new.leases.acquire(CALL)).token == 2


async def test_a_renewal_that_comes_late_does_not_bring_a_released_lease_back(gateway: Any) -> None:
    async with gateway.call() as log:
        keys = (*session_keys(CALL), LIVE)
        renewal = scripts.Call(scripts.RENEW, keys, gateway.leases.arguments(log.lease))
        assert await scripts.run(gateway.client, renewal) == 1
    assert await scripts.run(gateway.client, renewal) == 0
    assert await gateway.store.live_count() == 0
    assert (await gateway.leases.acquire(CALL)).token == log.lease.token + 1
    assert await gateway.store.live_count() == 1


async def test_a_lease_is_renewed_while_its_log_is_open(gateway: Any) -> None:
    async with gateway.call():
        lease = session_keys(CALL).lease
        renewals, before = 0, await gateway.client.pttl(lease)
        async with asyncio.timeout(10):
            while renewals < 4:  # More than one whole lifetime of the lease.
                await asyncio.sleep(0.02)
                now = await gateway.client.pttl(lease)
                assert now > 0
                renewals += now > before
                before = now


async def test_a_hanging_redis_loses_nothing_and_is_told_once(gateway: Any, emit: Any, server: Any, until: Any) -> None:
    async with gateway.call("a") as one, gateway.call("b") as two:
        delivered: list[Event] = []
        one.subscribe(delivered.append)
        emit(one, 1, 5)
        await one.stored()
        server.hang()
        emit(one, 6, 10)
        emit(two, 1, 10)
        await until(lambda: gateway.journal.away)
        assert seqs(delivered) == list(range(1, 11)), "listeners do not wait for a Redis that is away"
        await one.stored()  # returns at once
        emit(one, 11, 3000)
        assert delivered[-1].seq == 3000
        with pytest.raises(StateUnavailable):
            await gateway.store.create(SessionId("new"), agent="a", transport="websocket")
        server.go_on()
        await until(lambda: not gateway.journal.away)
        emit(one, 3001, 3002)
        await asyncio.gather(one.stored(), two.stored())
        assert seqs(await gateway.store.events_after(SessionId("a"), 0)) == list(range(1, 3003))
        assert seqs(await gateway.store.events_after(SessionId("b"), 0)) == list(range(1, 11))
        assert seqs(delivered) == list(range(1, 3003))
    assert gateway.outages == ["away", "back"]


async def test_a_killed_redis_comes_back_with_all_that_was_acknowledged(
    gateway: Any, emit: Any, server: Any, until: Any
) -> None:
    async with gateway.call() as log:
        delivered: list[Event] = []
        log.subscribe(delivered.append)
        for seq in range(1, 301):
            emit(log, seq, seq)
            if seq % 50 == 0:
                await log.stored()
        server.kill()
        emit(log, 301, 400)
        await until(lambda: gateway.journal.away)
        emit(log, 401, 450)
        await server.start_again()
        await until(lambda: not gateway.journal.away)
        emit(log, 451, 460)
        await log.stored()
        assert seqs(await gateway.store.events_after(CALL, 0)) == list(range(1, 461))
        assert seqs(delivered) == list(range(1, 461))
        assert await gateway.store.transcript(CALL) == log.transcript()
        assert not log.lost.is_set()
    assert gateway.outages == ["away", "back"]


async def test_an_outage_is_noticed_although_nobody_speaks(gateway: Any, server: Any, until: Any) -> None:
    server.hang()
    await until(lambda: gateway.journal.away)
    server.go_on()
    await until(lambda: not gateway.journal.away)
    assert gateway.outages == ["away", "back"]


async def test_a_restart_between_two_writes_is_no_outage(gateway: Any, emit: Any, server: Any) -> None:
    async with gateway.call() as log:
        emit(log, 1, 5)
        await log.stored()
        server.kill()
        await server.start_again()
        emit(log, 6, 10)
        await log.stored()
        assert seqs(await gateway.store.events_after(CALL, 0)) == list(range(1, 11))
    assert gateway.outages == []


async def test_a_connection_that_breaks_now_and_then_is_no_outage(open_gateway: Any, emit: Any, flaky_url: Any) -> None:
    gateway = await open_gateway(url=flaky_url.url)
    async with gateway.call() as log:
        for round_number in range(3):
            flaky_url.break_next = True
            emit(log, 5 * round_number + 1, 5 * round_number + 5)
            await log.stored()
            assert not flaky_url.break_next
        assert seqs(await gateway.store.events_after(CALL, 0)) == list(range(1, 16))
    assert gateway.outages == []


async def test_a_redis_that_forgot_everything_is_told_again(gateway: Any, emit: Any) -> None:
    async with gateway.call() as log:
        emit(log, 1, 50)
        await log.stored()
        await gateway.client.flushall()
        await gateway.client.script_flush()
        emit(log, 51, 52)
        await log.stored()
        assert seqs(await gateway.store.events_after(CALL, 0)) == list(range(1, 53))
        assert await gateway.store.transcript(CALL) == log.transcript()
        record = await gateway.store.load(CALL)
        assert (record.agent, record.owner, record.status) == ("front desk", "gateway-a", "live")
        assert record.created_at == log.record.created_at
        assert await gateway.store.live_ids() == [CALL]
        assert not log.lost.is_set()


async def test_a_redis_that_forgot_a_silent_session_is_told_by_the_renewal(gateway: Any, emit: Any) -> None:
    async with gateway.call() as log:
        emit(log, 1, 3)
        await log.stored()
        await gateway.client.flushall()
        async with asyncio.timeout(10):
            while seqs(await gateway.store.events_after(CALL, 0)) != [1, 2, 3]:
                await asyncio.sleep(0.02)


async def test_acknowledged_events_that_redis_lost_are_written_again(gateway: Any, emit: Any) -> None:
    """As after a machine's crash (``everysec``) or with a replica that took over: the newest writes are gone."""
    keys = session_keys(CALL)
    async with gateway.call() as log:
        delivered: list[Event] = []
        log.subscribe(delivered.append)
        emit(log, 1, 30)
        await log.stored()
        kept = await gateway.client.xrange(keys.events, "-", "20-0")
        await gateway.client.delete(keys.events)
        for entry_id, fields in kept:
            await gateway.client.xadd(keys.events, fields, id=entry_id)
        await gateway.client.hset(keys.session, "seq", "20")
        emit(log, 31, 32)
        await log.stored()
        assert seqs(await gateway.store.events_after(CALL, 0)) == list(range(1, 33))
        assert seqs(delivered) == list(range(1, 33))


async def test_a_full_buffer_gives_up_the_oldest_events_and_no_transcript(
    open_gateway: Any, emit: Any, server: Any, until: Any
) -> None:
    small = await open_gateway()
    small = await open_gateway("small", replace(small.config, session_buffer_events=100))
    async with small.call() as log:
        delivered: list[Event] = []
        log.subscribe(delivered.append)
        server.hang()
        emit(log, 1, 1)
        await until(lambda: small.journal.away)
        emit(log, 2, 1000)
        assert seqs(delivered) == list(range(1, 1001)), "listeners get even what cannot be kept"
        server.go_on()
        await until(lambda: not small.journal.away)
        await log.stored()
        stored = seqs(await small.store.events_after(CALL, 0))
        assert stored[-100:] == list(range(901, 1001))
        assert len(stored) <= 101
        assert await small.store.transcript(CALL) == log.transcript()
        assert len(log.transcript()) > 20


async def test_all_sessions_share_one_bound_of_memory(open_gateway: Any, emit: Any, server: Any, until: Any) -> None:
    first = await open_gateway()
    small = await open_gateway("small", replace(first.config, total_buffer_bytes=20_000))
    async with small.call("a") as one, small.call("b") as two:
        server.hang()
        emit(one, 1, 1)
        await until(lambda: small.journal.away)
        emit(one, 2, 1000)
        emit(two, 1, 1000)
        server.go_on()
        await until(lambda: not small.journal.away)
        await asyncio.gather(one.stored(), two.stored())
        kept = await small.store.events_after(SessionId("a"), 0) + await small.store.events_after(SessionId("b"), 0)
        assert 0 < len(kept) < 20_000 / 80


async def test_a_call_that_ends_in_an_outage_is_stored_afterwards(
    gateway: Any, emit: Any, server: Any, until: Any
) -> None:
    async with gateway.call() as log:
        emit(log, 1, 2)
        await log.stored()
        server.hang()
        emit(log, 3, 4)
        await until(lambda: gateway.journal.away)
        log.emit(SessionEnded(session_id=CALL, seq=5, at=log.record.created_at, reason="hangup"))
    server.go_on()
    async with asyncio.timeout(10):
        await log.released.wait()
    assert seqs(await gateway.store.events_after(CALL, 0)) == [1, 2, 3, 4, 5]
    assert (await gateway.store.load(CALL)).status == "ended"


async def test_data_of_somebody_else_under_a_key_harms_only_that_session(gateway: Any, emit: Any) -> None:
    async with gateway.call("a") as bad, gateway.call("b") as good:
        await gateway.client.set(session_keys("a").events, "not a stream")
        emit(bad, 1, 10)
        emit(good, 1, 10)
        await asyncio.gather(bad.stored(), good.stored())
        assert seqs(await gateway.store.events_after(SessionId("b"), 0)) == list(range(1, 11))
        assert not gateway.journal.away
        await gateway.client.delete(session_keys("a").events)
        emit(bad, 11, 12)
        await bad.stored()
        assert seqs(await gateway.store.events_after(SessionId("a"), 10)) == [11, 12]


async def test_five_hundred_calls_leave_nothing_without_an_expiry(open_gateway: Any, emit: Any) -> None:
    gateway = await open_gateway()
    gateway = await open_gateway("patient", replace(gateway.config, redis_timeout_s=10))

    async def call(number: int) -> None:
        async with gateway.call(f"call-{number}") as log:
            emit(log, 1, 10)
            log.emit(SessionEnded(session_id=log.record.id, seq=11, at=log.record.created_at, reason="hangup"))

    async with gateway.call("running") as running:
        emit(running, 1, 2)
        await asyncio.gather(*(call(number) for number in range(500)))
        assert await gateway.store.live_ids() == [SessionId("running")]
        await expect_every_key_to_expire(gateway, at_least=1500)
    assert not [key async for key in gateway.client.scan_iter("*:lease", count=1000)]
    assert await gateway.store.live_count() == 0
    assert not await gateway.client.exists(LIVE)


async def expect_every_key_to_expire(gateway: Any, at_least: int) -> None:
    keys = [key async for key in gateway.client.scan_iter("*", count=1000)]
    assert len(keys) >= at_least
    async with gateway.client.pipeline(transaction=False) as pipe:
        for key in keys:
            pipe.pttl(key)
        for key, left in zip(keys, await pipe.execute(), strict=True):
            assert 0 < left <= gateway.config.retention_s * 1000, key


async def test_leaving_the_journal_stores_what_is_still_open(open_gateway: Any, redis_url: str, emit: Any) -> None:
    gateway = await open_gateway()
    async with gateway.call() as log:
        emit(log, 1, 5000)
    client = open_client(redis_url, gateway.config)
    assert await client.hget(session_keys(CALL).session, "seq") == b"5000"
    await client.aclose()


async def test_the_fold_here_and_the_one_over_the_stream_agree(gateway: Any, emit: Any) -> None:
    async with gateway.call() as log:
        emit(log, 1, 200)
        await log.stored()
        again = Transcript()
        for event in await gateway.store.events_after(CALL, 0):
            again.apply(event)
        assert again.entries() == log.transcript() == await gateway.store.transcript(CALL)
