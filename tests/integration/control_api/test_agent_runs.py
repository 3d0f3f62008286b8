"""Agents that are asked once, in the background; they are run by the same engine as calls."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text

from control_api.agent_runs.runner import RunFailed, Runner
from control_api.db.models.agents import AgentRun
from sessions.connection import end
from sessions.run_signs import RunSigns
from tests.integration.control_api.api import World
from tests.integration.control_api.test_conversations import a_published_agent, until
from voicegate.kernel.clock import SystemClock

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def over(world: World, run_id: str) -> Any:
    async def ask() -> Any:
        shown = (await world.user().get(f"/agent-runs/{run_id}")).body
        return shown if shown["status"] in ("succeeded", "failed") else None

    return await until(ask)


async def asked(world: World, agent: str, words: str = "When do you open? What are your hours?") -> Any:
    got = await world.user().post("/agent-runs", {"agentId": agent, "text": words})
    assert got.status == 201, got.data
    assert got.body["status"] == "queued"
    return await over(world, got.body["id"])


async def test_an_agent_answers(world: World) -> None:
    agent = await a_published_agent(world)
    shown = await asked(world, agent)
    assert (shown["status"], shown["error"], shown["agentVersion"]) == ("succeeded", "", 1)
    assert shown["output"]["text"]
    assert shown["createdAt"] <= shown["startedAt"] <= shown["endedAt"]
    listed = (await world.user().get(f"/agent-runs?agentId={agent}&status=succeeded")).body["items"]
    assert [each["id"] for each in listed] == [shown["id"]]
    assert (await world.user().get(f"/agent-runs?agentId={agent}&status=failed")).body["items"] == []


async def test_a_repetition_runs_nothing_again(world: World) -> None:
    agent = await a_published_agent(world)
    body = {"agentId": agent, "text": "Hello?"}
    key = {"Idempotency-Key": "once"}
    first = await world.user().post("/agent-runs", body, headers=key)
    again = await world.user().post("/agent-runs", body, headers=key)
    assert first.body["id"] == again.body["id"]
    assert len((await world.user().get(f"/agent-runs?agentId={agent}")).body["items"]) == 1


async def test_a_draft_is_not_run(world: World) -> None:
    agent = (await world.user().post("/agents", {"name": "A"})).body["id"]
    assert (await world.user().post("/agent-runs", {"agentId": agent, "text": "x"})).code == "not_published"
    assert (await world.user().post("/agent-runs", {"agentId": str(uuid4()), "text": "x"})).code == "not_found"
    assert (await world.user().get(f"/agent-runs?agentId={uuid4()}")).code == "not_found"


@pytest.mark.parametrize("words", ["", "x" * 20_001, "\x00", 7, None])
async def test_what_cannot_be_asked(world: World, words: object) -> None:
    got = await world.user().post("/agent-runs", {"agentId": str(uuid4()), "text": words})
    assert got.code == "invalid"


async def a_row(world: World, agent: str, status: str = "queued") -> UUID:
    async with world.parts.database.system() as session:
        found = await session.scalar(
            text(
                "INSERT INTO agent_runs (organization_id, agent_id, status) VALUES (:org, :agent, :status) RETURNING id"
            ),
            {"org": world.ours.id, "agent": UUID(agent), "status": status},
        )
    assert isinstance(found, UUID)
    return found


async def row_of(world: World, run_id: UUID) -> AgentRun:
    async with world.parts.database.system() as session:
        found = await session.scalar(select(AgentRun).where(AgentRun.id == run_id))
    assert found is not None
    return found


async def test_a_run_whose_process_died_is_failed_and_one_of_a_living_process_is_not(world: World) -> None:
    agent = await a_published_agent(world)
    parts, signs = world.parts, RunSigns(world.parts.redis)
    lost, alive = await a_row(world, agent, "running"), await a_row(world, agent, "running")
    await signs.give([str(alive)])
    async with asyncio.TaskGroup() as tasks:
        runner = Runner(parts.database, signs, SystemClock(), tasks)
        await runner.round()
        await runner.round()
    assert (await row_of(world, lost)).error == "interrupted"
    assert (await row_of(world, alive)).status == "running"


@pytest.mark.parametrize(
    ("error", "said"),
    [(RunFailed("provider_failed", {"cost_micro": 7}), "provider_failed"), (ValueError(), "internal")],
)
async def test_what_goes_wrong_is_noted(world: World, error: Exception, said: str) -> None:
    agent = await a_published_agent(world)
    run_id = await a_row(world, agent)

    async def work() -> dict[str, Any]:
        raise error

    async with asyncio.TaskGroup() as tasks:
        Runner(world.parts.database, RunSigns(world.parts.redis), SystemClock(), tasks).start(run_id, work)
    row = await row_of(world, run_id)
    assert (row.status, row.error) == ("failed", said)
    assert row.ended_at is not None


async def test_at_the_end_of_a_process_its_runs_are_failed(world: World) -> None:
    agent = await a_published_agent(world)
    run_id = await a_row(world, agent)
    began = asyncio.Event()

    async def work() -> dict[str, Any]:
        began.set()
        await asyncio.Event().wait()
        return {}

    async with asyncio.TaskGroup() as tasks:
        runner = Runner(world.parts.database, RunSigns(world.parts.redis), SystemClock(), tasks)
        looking = tasks.create_task(runner.run())
        runner.start(run_id, work)
        await began.wait()
        assert (await row_of(world, run_id)).status == "running"
        await end([looking])
    assert (await row_of(world, run_id)).error == "interrupted"
