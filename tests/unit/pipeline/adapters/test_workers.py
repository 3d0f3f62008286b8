"""Worker threads: bounded, cancellable, and gone after close."""

import asyncio
import threading

import pytest

from pipeline.adapters.workers import WorkerThreads


async def test_no_more_calls_run_than_there_are_threads() -> None:
    workers = WorkerThreads("bounded", 2)
    running, most = 0, 0
    lock, both = threading.Lock(), threading.Barrier(2, timeout=5)

    def call(stop: threading.Event) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        both.wait()
        with lock:
            running -= 1
        return threading.get_ident()

    idents = await asyncio.gather(*(workers.run(call) for _ in range(6)))
    await workers.aclose()
    assert most == 2
    assert len(set(idents)) == 2
    assert threading.get_ident() not in idents


async def test_cancelling_stops_a_running_call_and_forgets_a_waiting_one() -> None:
    workers = WorkerThreads("cancelled", 1)
    started, ended = threading.Event(), threading.Event()
    ran: list[str] = []

    def long(stop: threading.Event) -> None:
        started.set()
        stop.wait(10)
        ended.set()

    async with asyncio.TaskGroup() as group:
        running = group.create_task(workers.run(long))
        waiting = group.create_task(workers.run(lambda stop: ran.append("waiting")))
        await asyncio.to_thread(started.wait, 5)
        waiting.cancel()
        running.cancel()
    assert await asyncio.to_thread(ended.wait, 5)
    assert await workers.run(lambda stop: "next") == "next"
    await workers.aclose()
    assert ran == []


async def test_close_stops_what_runs_and_ends_the_threads() -> None:
    workers = WorkerThreads("closing", 1)
    started = threading.Event()

    def until_stopped(stop: threading.Event) -> bool:
        started.set()
        return stop.wait(10)

    async with asyncio.TaskGroup() as group:
        call = group.create_task(workers.run(until_stopped))
        await asyncio.to_thread(started.wait, 5)
        await workers.aclose()
    assert call.result()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("closing")]
    with pytest.raises(RuntimeError):
        await workers.run(until_stopped)


async def test_what_a_call_raises_is_raised() -> None:
    workers = WorkerThreads("raising", 1)

    def fail(stop: threading.Event) -> None:
        raise LookupError("inside")

    with pytest.raises(LookupError, match="inside"):
        await workers.run(fail)
    await workers.aclose()
