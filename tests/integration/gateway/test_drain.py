"""A process ends while calls go on: they may end by themselves, or move to another process at a turn boundary."""

import asyncio
from typing import Any

import aiohttp

from gateway.close_codes import CloseCode
from gateway.config import DrainConfig
from gateway.drain import drain
from tests.integration.gateway.test_full_profile import call, closed_with, hear_until, say
from tests.unit.gateway.webrtc.sdp import body


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


async def test_who_begins_to_talk_when_told_moves_at_the_next_boundary(start: Any) -> None:
    """A key that is pressed, or a word that is said, between the notice and the move is this process's to answer."""
    async with start() as served, asyncio.TaskGroup() as tasks:
        parts, calls = served.gateway.parts, served.calls
        socket = await begun(served, "s1")
        ((_, leaving),) = parts.connections.holders()
        decided: list[bool] = []

        async def look(_seconds: float) -> None:
            """Between two looks of the drain."""
            decided.append(leaving.decided)
            calls.talking = {"s1"} if len(decided) <= 3 else set()
            await asyncio.sleep(0.2)  # longer than from a notice to the move

        draining = tasks.create_task(drain(parts, DrainConfig(patience_s=0.0, boundary_s=60.0), sleep=look))
        assert (await closed_with(socket))[0] == CloseCode.GOING_AWAY
        await draining
        assert decided[:4] == [False] * 4, "it talks until the fourth look"
        assert calls.told == [("s1", "moving")], "it is told once"


async def test_patience_has_an_end(start: Any) -> None:
    async with start() as served:
        socket = await begun(served, "s1")
        served.calls.talking.add("s1")
        async with asyncio.timeout(10):
            await drain(served.gateway.parts, DrainConfig(patience_s=0.1, boundary_s=0.1))
        assert served.calls.told == []
        await socket.close(1000)


async def test_the_answers_of_a_process_that_drains_are_the_last_on_their_connections(start: Any) -> None:
    """A client that keeps its connection through a balancer would be refused by this process until it has ended."""
    async with start() as served, aiohttp.ClientSession() as http:
        for draining in (False, True):
            served.gateway.parts.admission.draining = draining
            async with http.get(f"{served.http}/health/ready") as ready:
                assert (ready.status, ready.headers.get("Connection")) == ((503, "close") if draining else (200, None))
        async with http.post(
            f"{served.http}/whip", data=body(), headers={"Content-Type": "application/sdp"}
        ) as refused:
            assert (refused.status, refused.headers["Connection"]) == (503, "close")
            assert (await refused.json())["code"] == "draining"
