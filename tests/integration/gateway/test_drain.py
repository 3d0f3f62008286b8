"""A process ends while calls go on: they may end by themselves, or move to another process at a turn boundary."""

import asyncio
from typing import Any

from gateway.close_codes import CloseCode
from gateway.config import DrainConfig
from gateway.drain import drain
from tests.integration.gateway.test_full_profile import call, closed_with, hear_until, say


async def begun(served: Any, session_id: str) -> Any:
    socket = await call(served, session_id)
    await say(socket, "session.start")
    await hear_until(socket, "session.started")
    return socket


async def test_calls_go_on_until_they_end(start: Any) -> None:
    async with start() as served, asyncio.TaskGroup() as tasks:
        parts = served.gateway.parts
        socket = await begun(served, "s1")
        draining = tasks.create_task(drain(parts, DrainConfig(patience_s=60.0)))
        await asyncio.sleep(0.2)
        assert not draining.done()
        assert parts.admission.draining
        await socket.close(1000)
        await draining
        assert served.calls.told == []


async def test_a_call_moves_at_its_turn_boundary(start: Any) -> None:
    async with start() as served, asyncio.TaskGroup() as tasks:
        parts = served.gateway.parts
        quiet, talking = await begun(served, "quiet"), await begun(served, "talking")
        served.calls.talking.add("talking")
        draining = tasks.create_task(drain(parts, DrainConfig(patience_s=0.0, boundary_s=60.0)))
        assert (await closed_with(quiet))[0] == CloseCode.GOING_AWAY
        assert served.calls.told == [("quiet", "moving")]
        assert not draining.done()
        served.calls.talking.clear()
        assert (await closed_with(talking))[0] == CloseCode.GOING_AWAY
        await draining
        assert [served.calls.calls[each].log[-1] for each in ("quiet", "talking")] == ["detach", "detach"]


async def test_patience_has_an_end(start: Any) -> None:
    async with start() as served:
        socket = await begun(served, "s1")
        served.calls.talking.add("s1")
        async with asyncio.timeout(10):
            await drain(served.gateway.parts, DrainConfig(patience_s=0.1, boundary_s=0.1))
        assert served.calls.told == []
        await socket.close(1000)
