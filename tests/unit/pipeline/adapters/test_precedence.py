"""Interims run on threads that nobody else needs, and give them back."""

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import onnxruntime
import pytest

from pipeline.adapters.precedence import Precedence
from pipeline.adapters.workers import WorkerThreads
from pipeline.ports import EngineBusy


@dataclass
class Work:
    """A call that goes on until it is let go, or stopped in its middle as a graph would be."""

    started: threading.Event = field(default_factory=threading.Event)
    may_end: threading.Event = field(default_factory=threading.Event)
    in_graph: bool = False
    """Deep in a graph, where ``stop`` is not seen."""

    def __call__(self, stop: threading.Event, options: onnxruntime.RunOptions) -> str:
        self.started.set()
        for _ in range(2500):
            if self.may_end.wait(0.002):
                return "done"
            if options.terminate:
                raise RuntimeError("terminated")
            if stop.is_set() and not self.in_graph:
                return "stopped"
        return "never let go"

    async def running(self) -> None:
        assert await asyncio.to_thread(self.started.wait, 5)


@pytest.fixture
async def two() -> AsyncIterator[Precedence]:
    workers = WorkerThreads("two", 2)
    async with asyncio.timeout(10):
        yield Precedence("test", workers, 2)
    await workers.aclose()


async def test_an_interim_is_refused_at_once_when_all_threads_are_taken(two: Precedence) -> None:
    marks = [Work(), Work()]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(two.run(mark)) for mark in marks]
        for mark in marks:
            await mark.running()
        with pytest.raises(EngineBusy):
            await two.run(Work(), interim=True)
        for mark in marks:
            mark.may_end.set()
    assert [task.result() for task in tasks] == ["done", "done"]
    last = Work()
    last.may_end.set()
    assert await two.run(last, interim=True) == "done", "a thread is free again"


async def test_interims_that_come_in_the_same_moment_do_not_queue(two: Precedence) -> None:
    works = [Work() for _ in range(5)]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_busy(two, work)) for work in works]
        for work in works[:2]:
            await work.running()
            work.may_end.set()
    assert [task.result() for task in tasks] == [False, False, True, True, True]


async def test_what_cannot_wait_takes_the_thread_of_the_youngest_interim(two: Precedence) -> None:
    old, young, mark = Work(), Work(), Work()
    mark.may_end.set()
    async with asyncio.TaskGroup() as group:
        older = group.create_task(two.run(old, interim=True))
        await old.running()
        younger = group.create_task(_busy(two, young))
        await young.running()
        assert await two.run(mark) == "done"
        assert await younger
        assert not older.done()
        old.may_end.set()
    assert older.result() == "done"


async def test_no_more_interims_are_stopped_than_calls_need_threads(two: Precedence) -> None:
    interims, marks = [Work(), Work()], [Work(), Work(), Work()]
    async with asyncio.TaskGroup() as group:
        stopped = [group.create_task(_busy(two, work)) for work in interims]
        for work in interims:
            await work.running()
        tasks = [group.create_task(two.run(marks[0]))]
        await marks[0].running()
        await asyncio.wait({stopped[1]})
        assert not stopped[0].done(), "one call, one interim"
        tasks += [group.create_task(two.run(mark)) for mark in marks[1:]]
        await marks[1].running()
        assert not marks[2].started.is_set(), "calls that cannot wait wait for each other"
        for mark in marks:
            mark.may_end.set()
    assert [task.result() for task in stopped] == [True, True]
    assert [task.result() for task in tasks] == ["done"] * 3


async def _busy(precedence: Precedence, work: Work) -> bool:
    try:
        await precedence.run(work, interim=True)
    except EngineBusy:
        return True
    return False


async def test_a_cancelled_call_is_stopped_in_its_middle_and_its_thread_counts_as_free(two: Precedence) -> None:
    interim, other, mark = Work(), Work(in_graph=True), Work()
    mark.may_end.set()
    async with asyncio.TaskGroup() as group:
        kept = group.create_task(two.run(interim, interim=True))
        await interim.running()
        task = group.create_task(two.run(other))
        await other.running()
        task.cancel()
        await asyncio.wait({task})
        assert await two.run(mark) == "done"
        assert not kept.done(), "the interim had no need to go"
        interim.may_end.set()
    assert task.cancelled()


async def test_a_call_that_is_cancelled_while_it_waits_is_forgotten(two: Precedence) -> None:
    works = [Work(), Work(), Work()]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(two.run(work)) for work in works]
        for work in works[:2]:
            await work.running()
        tasks[2].cancel()
        await asyncio.wait({tasks[2]})
        for work in works[:2]:
            work.may_end.set()
    assert not works[2].started.is_set()
    free = [Work(), Work()]
    for work in free:
        work.may_end.set()
    assert await asyncio.gather(*(two.run(work, interim=True) for work in free)) == ["done", "done"]


async def test_an_error_of_the_call_s_own_is_not_taken_for_being_stopped(two: Precedence) -> None:
    def failing(stop: threading.Event, options: onnxruntime.RunOptions) -> None:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        await two.run(failing, interim=True)
