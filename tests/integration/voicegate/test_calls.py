"""The running calls of a process: who may attach, what survives, and what another process may take."""

import asyncio
import gc
import os
import signal
from collections.abc import Callable

import pytest

from gateway.conversation import Resume
from pipeline.ports import Message
from pipeline.reply import ReplyRun
from pipeline.session import Session
from tests.integration.voicegate.conftest import Begin, Process
from voicegate.call import Call
from voicegate.embedded.redis import RedisConfig
from voicegate.kernel.errors import RefusedCall, StateUnavailable
from voicegate.kernel.events import Event, ReplyFinished, ReplyInterrupted, TurnCommitted, Usage, decode, encode
from voicegate.kernel.ids import SessionId


async def until(holds: Callable[[], bool], within_s: float = 5.0) -> None:
    async with asyncio.timeout(within_s):
        while not holds():
            await asyncio.sleep(0.01)


async def listen(call: Call, process: Process, events: list[Event]) -> None:
    """Hear the current reply to its end, as a transport does."""
    call.subscribe(events.append)
    finished = len([each for each in process.observed if isinstance(each, ReplyFinished)])
    while len([each for each in process.observed if isinstance(each, ReplyFinished)]) == finished:
        call.take_frames()
        await asyncio.sleep(0.001)


async def answered(call: Call, process: Process, text: str) -> None:
    call.type_text(text)
    await listen(call, process, [])


async def refusal(process: Process, session_id: str = "call", resume: Resume | None = None) -> str:
    with pytest.raises(RefusedCall) as refused:
        await process.attach(session_id, resume)
    return refused.value.code


async def test_a_full_process_is_busy(begin: Begin) -> None:
    process = await begin(max_calls=2)
    first = await process.attach("one")
    await process.attach("two")
    assert await refusal(process, "three") == "busy"
    first.hang_up("client")
    assert await first.ended() == "client"
    await process.attach("three")
    assert process.registry.live == 2


async def test_calls_that_begin_at_once_do_not_exceed_the_bound(begin: Begin) -> None:
    process = await begin(max_calls=3)
    found = await asyncio.gather(*(process.attach(f"call-{n}") for n in range(8)), return_exceptions=True)
    assert sum(isinstance(each, Call) for each in found) == 3
    assert {each.code for each in found if isinstance(each, RefusedCall)} == {"busy"}


async def test_an_id_belongs_to_one_call(begin: Begin) -> None:
    process, other = await begin("a"), await begin("b")
    call = await process.attach()
    assert await refusal(process) == "in_use"
    assert await refusal(other) == "in_use"
    call.hang_up("client")
    await call.ended()
    assert await refusal(process) == "in_use", "a used id is not used again"
    secret = call.resume_secret
    assert await refusal(process, resume=Resume(secret, 0)) == "gone"


async def test_the_simple_profile_uses_an_id_again_and_again(begin: Begin) -> None:
    process = await begin()
    first = await process.attach(clips=True)
    first.hang_up("client")
    second = await process.attach(clips=True)  # at once, while the first is still being stored
    assert second is not first
    with pytest.raises(RefusedCall) as refused:
        await process.attach(clips=True)
    assert refused.value.code == "in_use"


async def test_a_lost_socket_comes_back(begin: Begin) -> None:
    process = await begin()
    call = await process.attach()
    await answered(call, process, "hello")
    call.detach()
    assert await refusal(process, resume=Resume("wrong", 0)) == "unauthorized"
    again = await process.attach(resume=Resume(call.resume_secret, 2))
    assert again is call
    assert again.resumed
    seqs = [event.seq for event in again.subscribe(lambda _: None, 2)]
    assert seqs == list(range(3, seqs[-1] + 1))
    assert seqs[-1] == process.observed[-1].seq


async def test_what_comes_from_redis_is_byte_for_byte_what_was_told(begin: Begin) -> None:
    process = await begin()
    call = await process.attach()
    await answered(call, process, "hello")
    told = [encode(event) for event in process.observed]
    assert any(isinstance(event, Usage) for event in process.observed)
    assert [encode(decode(each)) for each in told] == told


async def test_events_that_left_the_memory_come_from_redis(begin: Begin) -> None:
    process = await begin()
    call = await process.attach()
    for n in range(300):
        call.notice("test", f"number {n}")
    await until(lambda: len(process.observed) > 300)
    call.detach()
    again = await process.attach(resume=Resume(call.resume_secret, 3))
    assert [event.seq for event in again.subscribe(lambda _: None, 3)] == list(range(4, len(process.observed) + 1))


async def test_the_resume_window_ends(begin: Begin) -> None:
    process = await begin(resume_s=0.2)
    call = await process.attach()
    call.detach()
    again = await process.attach(resume=Resume(call.resume_secret, 0))
    await asyncio.sleep(0.3)
    assert process.ended == [], "it came back in time"
    again.detach()
    assert await again.ended() == "disconnected"
    record = await process.store.load(SessionId("call"))
    assert record is not None
    assert (record.status, record.ended_reason) == ("ended", "disconnected")


async def test_the_longest_call(begin: Begin) -> None:
    process = await begin(max_call_s=0.2)
    assert await (await process.attach()).ended() == "max_duration"


async def test_another_process_takes_a_call_over(begin: Begin) -> None:
    """The client reached another process, while the first one believes that it still has the call."""
    first, second = await begin("a"), await begin("b")
    call = await first.attach()
    await answered(call, first, "the blue house")
    last = first.observed[-1].seq
    taken = await second.attach(resume=Resume(call.resume_secret, last))
    assert taken.resumed
    assert await call.ended() == "taken_over"
    await answered(taken, second, "how much is it")
    assert second.begun == [True]
    assert [event.seq for event in second.observed] == list(range(last + 1, last + 1 + len(second.observed)))
    assert second.agent.requests[-1].history == (
        Message("user", "the blue house"),
        Message("tool_call", '{"what": "it"}', name="look_up", call_id="c1"),
        Message("tool_result", "facts about the blue house", name="look_up", call_id="c1"),
        Message("assistant", "You said the blue house.", agent="listed"),
    )
    assert first.ended == [], "the call goes on: nobody is told of an end"


async def test_a_lease_that_is_lost_ends_the_call_without_being_asked(begin: Begin) -> None:
    first, second = await begin("a"), await begin("b")
    call = await first.attach()
    await second.attach(resume=Resume(call.resume_secret, 0))
    assert await asyncio.wait_for(call.ended(), 3.0) == "taken_over"  # the next renewal, or the next event
    assert first.registry.live == 0


async def test_an_old_lease_does_not_end_a_newer_call_of_the_id(begin: Begin) -> None:
    process = await begin()
    old = await process.attach(clips=True)
    old.hang_up("client")
    new = await process.attach(clips=True)
    process.registry._lost(SessionId("call"), old.lease_token)
    await asyncio.sleep(0.1)
    assert process.registry.live == 1
    process.registry._lost(SessionId("call"), new.lease_token)
    assert await new.ended() == "taken_over"


async def test_two_clients_that_resume_at_once_end_in_one_call(begin: Begin) -> None:
    first = await begin("a")
    secret = (await first.attach()).resume_secret
    await first.leave()
    second = await begin("b")
    one, two = await asyncio.gather(*(second.attach(resume=Resume(secret, 0)) for _ in range(2)))
    assert one is two
    await until(lambda: bool(second.begun))
    assert second.begun == [True]


async def test_who_resumes_twice_misses_nothing_of_another_process(begin: Begin) -> None:
    """The first answer did not reach its client, and nothing of this process was stored yet when the second came."""
    first, second = await begin("a"), await begin("b")
    call = await first.attach()
    await answered(call, first, "hello")
    wanted = [event.seq for event in first.observed]
    resume = Resume(call.resume_secret, 1)
    await first.leave()
    one, two = await asyncio.gather(second.attach(resume=resume), second.attach(resume=resume))
    assert one is two
    told: list[Event] = []
    told += two.subscribe(told.append, 1)
    await until(lambda: bool(told) and told[-1].seq > wanted[-1])
    seqs = [event.seq for event in told]
    assert seqs == list(range(2, seqs[-1] + 1))


async def test_a_shutdown_suspends_calls_and_takes_no_new_ones(begin: Begin) -> None:
    first, second = await begin("a"), await begin("b")
    call = await first.attach()
    call.type_text("a long story")
    await until(lambda: call.take_frames() is not None)
    for _ in range(20):
        call.take_frames()
    secret = call.resume_secret
    await first.leave()
    assert await refusal(first, "another") == "draining"
    assert first.ended == []
    record = await second.store.load(SessionId("call"))
    assert record is not None
    assert record.status == "live"
    stored = await second.store.events_after(SessionId("call"), 0)
    cut = [event for event in stored if isinstance(event, ReplyInterrupted)]
    assert [event.reason for event in cut] == ["shutdown"]
    assert f"{cut[0].heard} {cut[0].cut}".strip() == "You said a long story."
    taken = await second.attach(resume=Resume(secret, stored[-1].seq))
    await listen(taken, second, [])
    assert [request.kind for request in second.agent.requests] == ["resume"]
    turns = [event.text for event in stored if isinstance(event, TurnCommitted)]
    assert turns == ["a long story"]


async def test_without_the_store_no_call_begins_and_none_ends(begin: Begin, redis_config: RedisConfig) -> None:
    process = await begin()
    call = await process.attach()
    os.kill(int((redis_config.directory / "redis.pid").read_text()), signal.SIGKILL)
    with pytest.raises(StateUnavailable):
        await process.attach("another")
    await asyncio.wait_for(answered(call, process, "still there?"), 5.0)
    await until(lambda: process.journal.away)
    with pytest.raises(StateUnavailable):
        await process.attach("another")
    assert process.registry.live == 1


async def test_a_call_that_is_over_is_free_without_the_collector(begin: Begin) -> None:
    """It would stop all calls of the process for as long as it takes to free what hundreds have left."""
    process = await begin()
    gc.collect()
    gc.disable()
    try:
        call = await process.attach("one")
        call.type_text("Hello?")
        await until(lambda: bool(alive(ReplyRun)))
        call.hang_up("client")  # in the middle of the reply
        assert await call.ended() == "client"
        del call
        await until(lambda: not alive(Call, Session, ReplyRun))
    finally:
        gc.enable()


def alive(*kinds: type) -> list[object]:
    return [each for each in gc.get_objects() if type(each) in kinds]
