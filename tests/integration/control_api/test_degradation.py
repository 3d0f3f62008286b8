"""A control API whose database stands still: what it still answers, to whom, and that it says so."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio

from benchmarks.standstill import postmaster, standing_still
from tests.integration.control_api.api import Client, Got, World, running_world
from tests.integration.control_api.conftest import a_database
from tests.integration.control_api.standstill import degraded, equal, timed, until

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def kept(world: World, answers: int) -> None:
    """Wait until so many answers are in Redis."""

    async def enough() -> bool:
        return int(await world.parts.redis.zcard("voicegate:answers")) >= answers

    await until(enough)


def is_stale(got: Got) -> bool:
    if got.headers.get("X-Voicegate-Stale") != "true":
        assert "Age" not in got.headers
        assert "Warning" not in got.headers
        return False
    assert got.headers["Warning"].startswith("110 ")
    assert 0 <= int(got.headers["Age"]) < 60
    assert got.headers["Cache-Control"] == "no-store"
    return True


@dataclass
class Night:
    """A world in which the database stands still."""

    world: World
    agent: str
    key: Client
    revoked: Client
    before: dict[str, Got]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def night(postgres_url: str, template: str, shared_redis_url: str, folder: Path) -> AsyncIterator[Night]:
    async with a_database(postgres_url, template) as url, running_world(url, shared_redis_url) as world:
        await world.parts.redis.flushdb()
        owner = world.user()
        agent = (await owner.post("/agents", {"name": "Ours"})).body["id"]
        theirs = (await world.user(company=world.theirs).post("/agents", {"name": "Theirs"})).body["id"]
        key, revoked = await world.key("agents:read", "agents:write"), await world.key("agents:read")
        paths = ("/agents?limit=5", f"/agents/{agent}", "/users/profile", f"/agents/{agent}/versions")
        before = {path: await owner.get(path) for path in paths}
        await owner.get(f"/agents/{theirs}")  # refused, and so not kept
        await world.user("developer").get("/users/profile")
        assert (await key.get("/agents")).status == 200
        assert (await revoked.get("/agents")).status == 200
        listed = (await owner.get("/api-keys")).body["items"]
        (mine,) = [each["id"] for each in listed if each["scopes"] == ["agents:read"]]
        assert (await owner.delete(f"/api-keys/{mine}")).status == 204
        await kept(world, 7)
        with standing_still(postmaster(folder / "postgres")):
            await until(lambda: equal(degraded(world), ["database_away"]))
            yield Night(world, agent, key, revoked, before)
        await until(lambda: equal(degraded(world), []))
        got = await owner.get("/agents?limit=5")
        assert (got.status, is_stale(got), got.body) == (200, False, before["/agents?limit=5"].body)
        assert (await owner.patch(f"/agents/{agent}", {"name": "New"}, headers={"If-Match": "*"})).status == 200


async def test_reads_are_answered_from_what_was_kept(night: Night) -> None:
    for path, before in night.before.items():
        got = await timed(night.world.user().get(path))
        assert (got.status, got.data) == (200, before.data), path
        assert is_stale(got)
        assert got.headers["Content-Type"] == before.headers["Content-Type"]
        assert got.headers.get("ETag") == before.headers.get("ETag")


async def test_what_was_never_read_is_told_to_come_again(night: Night) -> None:
    for path in ("/agents?limit=6", "/conversations", f"/agents/{uuid4()}", "/organizations"):
        got = await timed(night.world.user().get(path))
        assert (got.status, got.code) == (503, "database_unavailable"), path
        assert int(got.headers["Retry-After"]) >= 1


async def test_changes_are_refused(night: Night) -> None:
    owner, agent = night.world.user(), night.agent
    for asking in (
        owner.post("/agents", {"name": "B"}),
        owner.patch(f"/agents/{agent}", {"name": "B"}, headers={"If-Match": "*"}),
        owner.delete(f"/agents/{agent}", headers={"If-Match": "*"}),
        owner.post(f"/agents/{agent}/publish"),
        owner.post(f"/agents/{agent}/sessions"),
        owner.post("/api-keys", {"name": "k", "scopes": ["agents:read"]}),
        night.key.post("/agents", {"name": "B"}),
    ):
        got = await timed(asking)
        assert (got.status, got.code) == (503, "database_unavailable")
        assert int(got.headers["Retry-After"]) >= 1


async def test_what_needs_no_database_goes_on(night: Night) -> None:
    got = await timed(night.world.user().get("/permissions"))
    assert (got.status, is_stale(got)) == (200, False)


async def test_api_keys_read_what_was_kept_for_their_scopes(night: Night) -> None:
    got = await timed(night.key.get("/agents"))
    assert (got.status, is_stale(got)) == (200, True)
    assert [each["name"] for each in got.body["items"]] == ["Ours"]
    assert (await timed(night.key.get("/api-keys"))).code == "forbidden", "what it may not do it may not do now"


async def test_a_key_that_was_revoked_reads_nothing(night: Night) -> None:
    assert (await timed(night.revoked.get("/agents"))).code == "database_unavailable"


async def test_others_get_nothing_of_ours(night: Night) -> None:
    """Neither another organisation, nor who may do less, nor somebody else where it is about the person."""
    world = night.world
    other = world.user(company=world.theirs)
    for path in ("/agents?limit=5", f"/agents/{night.agent}"):
        assert (await timed(other.get(path))).code == "database_unavailable"
    colleague = await timed(world.user("developer").get("/users/profile"))
    assert (colleague.status, is_stale(colleague)) == (200, True)
    assert colleague.body["user"]["role"] == "developer"
    assert (await timed(world.user("developer").get("/agents?limit=5"))).code == "database_unavailable"


async def test_who_was_not_seen_lately_is_not_let_in(night: Night) -> None:
    assert (await timed(night.world.user("analyst").get("/agents?limit=5"))).code == "database_unavailable"
    assert (await timed(night.world.with_token("vgk_unknown").get("/agents"))).code == "database_unavailable"
    assert (await timed(night.world.with_token("not a token").get("/agents"))).code == "unauthorized"
    assert (await timed(night.world.anybody().get("/agents"))).code == "unauthorized"


async def test_health_and_metrics_say_so(night: Night) -> None:
    got = await timed(night.world.anybody().get("/health"))
    assert (got.status, got.body["status"], got.body["checks"]["redis"]) == (503, "unhealthy", True)
    assert got.body["checks"]["database"] is False
    (line,) = got.body["degraded"]
    assert line["code"] == "database_away"
    assert "reads are answered" in line["detail"]
    assert datetime.fromisoformat(line["since"]) < datetime.now(UTC)
    assert (await timed(night.world.anybody().get("/health/live"))).status == 200
    assert (await timed(night.world.anybody().get("/health/ready"))).status == 200, "reads are served"
    async with night.world.http.get(f"{night.world.url}/metrics") as response:
        assert 'voicegate_api_degraded{service="database"} 1.0' in await response.text()
