"""Analytics: what calls add up to, exactly, however often and by whomever they are read."""

import asyncio
import csv
import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from control_api.analytics.export import PAGE
from control_api.analytics.tally import unpacked
from control_api.conversations.consumer import Consumer
from tests.integration.control_api.api import World
from tests.integration.control_api.test_conversations import (
    a_published_agent,
    a_whole_call,
    calling,
    found,
    script,
    started,
    until,
)
from voicegate.kernel.clock import SystemClock
from voicegate.kernel.events import Event, Failure, Notice, SessionEnded, Usage
from voicegate.kernel.telemetry import NoTelemetry

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def another_consumer(world: World) -> Consumer:
    """It has read nothing yet, and follows no call by itself."""
    parts = world.parts
    made = Consumer(parts.redis, parts.store, parts.database, SystemClock(), NoTelemetry(), None, parts.bookkeeper)
    made._begun = await made._newest_beginning()
    return made


async def sums(world: World, agent: str) -> dict[tuple[Any, ...], int]:
    async with world.parts.database.system() as session:
        rows = await session.execute(
            text(
                "SELECT period::text, measure, at, agent_version, key, amount FROM analytics_sums WHERE agent_id = :a"
            ),
            {"a": UUID(agent)},
        )
        return {tuple(row[:5]): row[5] for row in rows if row[5]}


async def contributions(world: World, agent: str) -> dict[tuple[Any, ...], int]:
    """The same, from what is noted of every call."""
    together: dict[tuple[Any, ...], int] = {}
    async with world.parts.database.system() as session:
        rows = await session.execute(
            text("SELECT agent_version, amounts FROM analytics_calls WHERE agent_id = :a"), {"a": UUID(agent)}
        )
        for version, amounts in rows:
            for slot, amount in unpacked(amounts).items():
                for period, hours in (("hour", 1), ("day", 24)):
                    at = datetime.fromtimestamp(slot.hour // hours * hours * 3600, UTC)
                    name = (period, slot.measure, at, version, slot.key)
                    together[name] = together.get(name, 0) + amount
    return {name: amount for name, amount in together.items() if amount}


async def test_a_call_in_all_reports(world: World) -> None:
    shown = await a_whole_call(world)
    agent, ask = shown["agentId"], world.user("analyst").get
    summary = (await ask(f"/analytics/summary?agentId={agent}")).body
    assert [summary[name] for name in ("calls", "ended", "failed", "turns", "interruptions", "errors")] == [
        1, 1, 0, 2, 1, 0,
    ]  # fmt: skip
    assert summary["interruptionRate"] == 0.5
    assert summary["voiceToVoice"]["p50Ms"] == pytest.approx(400, rel=0.05)
    latency = (await ask(f"/analytics/latency?agentId={agent}")).body["stages"]
    assert {each["stage"]: each["count"] for each in latency} == dict.fromkeys(
        ("total", "endpointing", "stt", "agent", "tts", "playout"), 1
    )
    assert next(each for each in latency if each["stage"] == "stt")["p99Ms"] == pytest.approx(40, rel=0.05)
    stops = (await ask(f"/analytics/interruptions?agentId={agent}")).body
    assert stops["byReason"] == [{"key": "barge_in", "count": 1}]
    assert stops["byAgent"] == [{"agentId": agent, "turns": 2, "count": 1, "rate": 0.5}]
    errors = (await ask(f"/analytics/errors?agentId={agent}")).body
    assert (errors["count"], errors["endings"]) == (0, [{"key": "client", "count": 1}])
    await ask("/analytics/summary")  # without an agent: of all


@pytest.mark.parametrize(("bucket", "days", "points"), [("hour", 2, 48), ("day", 3, 3)])
async def test_a_time_series_has_no_gaps(world: World, bucket: str, days: int, points: int) -> None:
    agent = (await a_whole_call(world))["agentId"]
    today = datetime.now(UTC).date()
    query = f"bucket={bucket}&agentId={agent}&since={today - timedelta(days=days - 1)}&until={today}"
    series = (await world.user().get(f"/analytics/timeseries?{query}")).body["points"]
    assert len(series) == points
    assert [each["at"] for each in series] == sorted(each["at"] for each in series)
    busy = [each for each in series if each["calls"]]
    assert len(busy) == 1
    assert sum(each["turns"] for each in series) == 2


async def test_what_went_wrong_is_counted_by_its_code(world: World) -> None:
    agent = await a_published_agent(world)
    async with calling(world, agent) as log:
        session_id, now = log.record.id, datetime.now(UTC)
        log.emit(started(log))
        made: list[Event] = [
            Failure(session_id=session_id, seq=2, at=now, code="provider_failed", stage="tts", message="x"),
            Failure(session_id=session_id, seq=3, at=now, code="=cmd()", message="x"),
            Notice(session_id=session_id, seq=4, at=now, code="redis_away", message="x"),
            SessionEnded(session_id=session_id, seq=5, at=now, reason="error"),
        ]
        for event in made:
            log.emit(event)
    await found(world, session_id, "failed")
    errors = (await world.user().get(f"/analytics/errors?agentId={agent}")).body
    assert errors["byCode"] == [{"key": "other", "count": 1}, {"key": "tts/provider_failed", "count": 1}]
    assert errors["notices"] == [{"key": "redis_away", "count": 1}]
    assert (await world.user().get(f"/analytics/summary?agentId={agent}")).body["failed"] == 1


async def test_reading_again_and_in_two_processes_at_once_changes_nothing(world: World) -> None:
    """Five consumers that know nothing read the same calls together, event by event in different portions."""
    agent = await a_published_agent(world)
    logs = []
    for _ in range(4):
        async with calling(world, agent) as log:
            for event in script(log.record.id)[:-1]:
                log.emit(event)
            logs.append(log.record.id)
    for session_id in logs:
        await found(world, session_id)

    async def settled() -> bool:
        return sum(v for (period, measure, *_), v in (await sums(world, agent)).items()
                   if (period, measure) == ("day", "turns")) == 8  # fmt: skip

    await until(settled)
    before = await sums(world, agent)
    assert before == await contributions(world, agent)

    async def again() -> None:
        consumer = await another_consumer(world)
        for session_id in logs:
            await consumer._open(session_id)
        assert len(consumer._calls) == 4
        for _ in range(3):
            await consumer._read()
            await consumer._write()

    await asyncio.gather(*(again() for _ in range(5)))
    assert await sums(world, agent) == before
    assert await contributions(world, agent) == before


async def test_a_call_that_was_taken_for_lost_and_goes_on_is_no_failure(world: World) -> None:
    agent = await a_published_agent(world)
    async with calling(world, agent) as log:
        log.emit(started(log))

        async def counted() -> bool:
            return bool((await world.user().get(f"/analytics/summary?agentId={agent}")).body["calls"])

        await until(counted)
        pessimist = await another_consumer(world)
        await pessimist._open(log.record.id)
        await pessimist._read()
        await pessimist._give_up(pessimist._calls[log.record.id])
        assert (await world.user().get(f"/analytics/summary?agentId={agent}")).body["failed"] == 1
        for event in script(log.record.id)[1:]:
            log.emit(event)
        await found(world, log.record.id, "ended")
    summary = (await world.user().get(f"/analytics/summary?agentId={agent}")).body
    assert (summary["calls"], summary["ended"], summary["failed"], summary["turns"]) == (1, 1, 0, 2)
    assert await sums(world, agent) == await contributions(world, agent)


async def test_costs_are_those_of_the_ledger(world: World) -> None:
    agent = await a_published_agent(world)
    async with calling(world, agent) as log:
        session_id, now = log.record.id, datetime.now(UTC)
        made: list[Event] = [
            started(log),
            Usage(session_id=session_id, seq=2, at=now, stage="tts", provider="flite", quantity=100, unit="characters"),
            Usage(session_id=session_id, seq=3, at=now, stage="stt", provider="moonshine", quantity=2, unit="seconds"),
            SessionEnded(session_id=session_id, seq=4, at=now + timedelta(minutes=1), reason="client"),
        ]
        for event in made:
            log.emit(event)
    await found(world, session_id, "ended")
    costs = (await world.user("billing").get(f"/analytics/costs?agentId={agent}")).body
    assert costs["costMicro"] == sum(each["costMicro"] for each in costs["byStage"]) > 0
    assert [(each["stage"], each["provider"]) for each in costs["byProvider"]] == [
        ("stt", "moonshine"),
        ("tts", "flite"),
    ]
    assert (costs["calls"], costs["costPerCallMicro"]) == (1, costs["costMicro"])
    used = (await world.user().get("/credits/usage?by=agent")).body["items"]
    assert next(each for each in used if each["agentId"] == agent)["costMicro"] == costs["costMicro"]
    summary = (await world.user().get(f"/analytics/summary?agentId={agent}")).body
    assert summary["costMicro"] == costs["costMicro"], "booked for the call and added up by day are the same"


async def test_performance_by_version(world: World) -> None:
    agent = (await a_whole_call(world))["agentId"]
    assert (await world.user().post(f"/agents/{agent}/publish")).status == 201
    async with calling(world, agent) as log:
        for event in script(log.record.id):
            log.emit(event)
    await found(world, log.record.id, "ended")
    shown = (await world.user("admin").get(f"/agents/{agent}/performance")).body
    assert [(each["version"], each["calls"], each["turns"]) for each in shown["versions"]] == [(2, 1, 2), (1, 1, 2)]
    assert (shown["calls"], shown["voiceToVoice"]["count"]) == (2, 2)
    assert (await world.user("developer").get(f"/agents/{agent}/performance")).code == "forbidden"


async def imported(world: World, count: int, name: str) -> str:
    agent = (await world.user().post("/agents", {"name": name})).body["id"]
    async with world.parts.database.system() as session:
        await session.execute(
            text(
                "INSERT INTO conversations (organization_id, agent_id, agent_name, status, started_at, tags) SELECT"
                " :org, :agent, :name, 'ended', now() - n * interval '1 second', ARRAY['+1','b'] FROM"
                " generate_series(1, :count) n"
            ),
            {"org": world.ours.id, "agent": UUID(agent), "name": name, "count": count},
        )
    return str(agent)


async def test_the_export_is_whole_and_in_order(world: World) -> None:
    agent = await imported(world, 2 * PAGE + 7, "Teller")
    got = await world.user().get(f"/analytics/export?format=ndjson&agentId={agent}")
    assert got.headers["Content-Type"] == "application/x-ndjson"
    rows = [json.loads(line) for line in got.data.splitlines()]
    assert len({row["id"] for row in rows}) == 2 * PAGE + 7
    assert [row["startedAt"] for row in rows] == sorted(row["startedAt"] for row in rows)


@pytest.mark.parametrize("name", ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(1)", "\tx", 'a "quoted", name'])
async def test_no_cell_of_the_csv_is_a_formula(world: World, name: str) -> None:
    agent = await imported(world, 1, name)
    got = await world.user().get(f"/analytics/export?agentId={agent}")
    assert got.headers["Content-Type"].startswith("text/csv")
    rows: Sequence[dict[str, str]] = list(csv.DictReader(io.StringIO(got.data.decode(), newline="")))
    assert rows[0]["agentName"] in (name, f"'{name}")
    for cell in rows[0].values():
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("summary?since=2026-01-02&until=2026-01-01", 422),
        ("summary?since=2020-01-01&until=2026-01-01", 422),
        ("summary?until=0001-01-01", 422),
        ("summary?until=9999-12-31", 422),
        ("summary?since=yesterday", 422),
        ("timeseries?bucket=hour&since=2026-01-01&until=2026-01-08", 422),
        ("timeseries?bucket=week", 422),
        ("timeseries?since=2026-01-01&until=2026-04-03", 422),
        ("export?format=xlsx", 422),
        ("export?agentId=7d9f5a52-3f0c-4f6e-9f1d-2f1e8a6b5c4d", 404),
    ],
)
async def test_what_cannot_be_asked(world: World, query: str, status: int) -> None:
    assert (await world.user().get(f"/analytics/{query}")).status == status


async def test_live_figures_and_a_client_that_vanishes(world: World) -> None:
    agent = await a_published_agent(world)
    headers = {"Authorization": f"Bearer {world.user().token}"}
    address = f"{world.url}/api/v1/analytics/live"
    async with calling(world, agent) as log:
        for event in script(log.record.id)[:9]:
            log.emit(event)
        await found(world, log.record.id)
        for _ in range(2):  # the first one vanishes in the middle, and the second is told all the same
            async with world.http.get(address, headers=headers) as response:
                figures = {}
                async for line in response.content:
                    if line.startswith(b"data: "):
                        figures = json.loads(line.removeprefix(b"data: "))
                        break
        assert figures["calls"] >= 1
        assert figures["turnsPerMinute"] >= 1
        assert figures["voiceToVoiceP50Ms"] == pytest.approx(400, rel=0.06)
        log.emit(SessionEnded(session_id=log.record.id, seq=10, at=datetime.now(UTC), reason="client"))
