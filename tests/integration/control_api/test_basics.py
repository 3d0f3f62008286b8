"""What all operations share: ids, errors, idempotency, limits of bodies, health; and the small resources."""

import asyncio
import statistics
from typing import Any
from uuid import uuid4

import pytest

from tests.integration.control_api.api import Got, World
from voicegate.kernel.clock import SystemClock

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_answers_do_not_wait_for_acknowledgements(world: World) -> None:
    """With Nagle's algorithm, an answer written as head and body takes 40 ms more on a connection that is kept."""
    owner, clock, took_s = world.user(), SystemClock(), []
    for _ in range(31):
        began_s = clock.monotonic()
        assert (await owner.get("/permissions")).status == 200
        took_s.append(clock.monotonic() - began_s)
    assert statistics.median(took_s) < 0.030


async def test_a_request_id_is_kept_or_made(world: World) -> None:
    kept = await world.user().get("/agents", headers={"X-Request-Id": "trace-12345"})
    assert kept.headers["X-Request-Id"] == "trace-12345"
    for odd in ("short", "with space inside", "x" * 65, "<script>alert"):
        made = await world.user().get("/agents", headers={"X-Request-Id": odd})
        assert made.headers["X-Request-Id"] != odd
        assert len(made.headers["X-Request-Id"]) == 36


async def test_nothing_is_cached_or_sniffed(world: World) -> None:
    got = await world.user().get("/agents")
    assert (got.headers["Cache-Control"], got.headers["X-Content-Type-Options"]) == ("no-store", "nosniff")
    assert "Server" not in got.headers


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/nowhere", "not_found"),
        ("GET", "/agents/not-an-id", "not_found"),
        ("PUT", "/agents", "method_not_allowed"),
        ("PATCH", "/agents/schema", "method_not_allowed"),
    ],
)
async def test_what_is_not_there_is_a_problem_too(world: World, method: str, path: str, code: str) -> None:
    assert (await world.user()(method, path)).code == code


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "limit=-1"])
async def test_a_page_has_a_hundred_rows_at_most(world: World, query: str) -> None:
    got = await world.user().get(f"/agents?{query}")
    assert (got.code, got.body["errors"][0]["pointer"]) == ("invalid", "/query/limit")


async def test_a_body_that_is_too_large(world: World) -> None:
    got = await world.user().post("/agents", {"name": "x", "configuration": {"instructions": "y" * 1_100_000}})
    assert (got.status, got.code) == (413, "too_large")


async def test_given_values_are_not_repeated_in_errors(world: World) -> None:
    got = await world.anybody().post("/auth/login", {"email": "a@b", "password": {"secret": "hunter2"}})
    assert got.code == "invalid"
    assert b"hunter2" not in got.data


# --- Idempotency-Key ------------------------------------------------------------------------------------------------


async def create(world: World, key: str, name: str = "Once", role: Any = "owner") -> Got:
    return await world.user(role).post("/agents", {"name": name}, headers={"Idempotency-Key": key})


async def test_a_repeated_request_happens_once(world: World) -> None:
    key = uuid4().hex
    first, again = await create(world, key), await create(world, key)
    assert (again.status, again.body) == (201, first.body)
    assert (again.headers["Idempotency-Replayed"], again.headers["Location"]) == ("true", first.headers["Location"])
    assert "Idempotency-Replayed" not in first.headers


async def test_many_at_once_happen_once(world: World) -> None:
    key = uuid4().hex
    answers = await asyncio.gather(*(create(world, key) for _ in range(8)))
    assert {got.status for got in answers} == {201}
    assert len({got.body["id"] for got in answers}) == 1
    assert sum("Idempotency-Replayed" not in got.headers for got in answers) == 1


async def test_a_key_is_of_one_request_and_one_caller(world: World) -> None:
    key = uuid4().hex
    first = await create(world, key)
    other = await create(world, key, name="Other")
    assert (other.status, other.code) == (422, "key_reused")
    assert (await create(world, key, role="admin")).body["id"] != first.body["id"]


async def test_what_failed_may_be_tried_again_with_its_key(world: World) -> None:
    key = {"Idempotency-Key": uuid4().hex}
    agent = (await world.user().post("/agents", {"name": "A"})).body["id"]
    assert (await world.user().post(f"/agents/{agent}/publish", {}, headers=key)).code == "invalid"
    ready = {"configuration": {"instructions": "Be kind."}}
    await world.user().patch(f"/agents/{agent}", ready, headers={"If-Match": "*"})
    assert (await world.user().post(f"/agents/{agent}/publish", {}, headers=key)).status == 201


@pytest.mark.parametrize("key", ["", "x" * 256, "with space"])
async def test_keys_that_are_none(world: World, key: str) -> None:
    assert (await create(world, key)).code == "invalid"


# --- API keys -------------------------------------------------------------------------------------------------------


async def test_an_api_key_is_shown_once_and_works_until_it_is_revoked(world: World) -> None:
    header = {"Idempotency-Key": uuid4().hex}
    body = {"name": "ci", "scopes": ["agents:read"]}
    made = await world.user().post("/api-keys", body, headers=header)
    key = made.body["key"]
    assert key.startswith(made.body["prefix"])
    again = await world.user().post("/api-keys", body, headers=header)
    assert (again.body["id"], again.body["key"]) == (made.body["id"], None), "what is kept of the answer has no key"
    machine = world.with_token(key)
    assert (await machine.get("/agents")).status == 200
    assert (await machine.post("/agents", {"name": "A"})).code == "forbidden"
    assert (await machine.get("/permissions")).code == "forbidden"
    listed = next(each for each in (await world.user().get("/api-keys")).body["items"] if each["id"] == made.body["id"])
    assert "key" not in listed
    assert listed["lastUsedAt"]
    assert (await world.user().delete(f"/api-keys/{made.body['id']}")).status == 204
    assert (await machine.get("/agents")).code == "unauthorized"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"scopes": []}, "invalid"),
        ({"scopes": ["everything"]}, "invalid"),
        ({"scopes": ["profile:read"]}, "invalid"),
        ({"expiresAt": "2020-01-01T00:00:00Z"}, "invalid"),
        ({"expiresAt": "2040-01-01T00:00:00"}, "invalid"),
    ],
)
async def test_api_keys_that_cannot_be(world: World, change: dict[str, Any], code: str) -> None:
    got = await world.user().post("/api-keys", {"name": "k", "scopes": ["agents:read"], **change})
    assert got.code == code


async def test_a_key_cannot_make_a_stronger_one(world: World) -> None:
    maker = await world.key("api-keys:write", "agents:read")
    assert (await maker.post("/api-keys", {"name": "k", "scopes": ["agents:read"]})).status == 201
    assert (await maker.post("/api-keys", {"name": "k", "scopes": ["agents:write"]})).code == "forbidden"


# --- people ---------------------------------------------------------------------------------------------------------


async def test_an_organization_is_renamed_by_who_has_read_it(world: World) -> None:
    path = f"/organizations/{world.ours.id}"
    read = await world.user("agent").get(path)
    assert (await world.user().patch(path, {"name": "New"})).code == "precondition_required"
    changed = await world.user().patch(path, {"name": "New"}, headers={"If-Match": read.headers["ETag"]})
    assert (changed.status, changed.body["name"]) == (200, "New")
    stale = await world.user().patch(path, {"name": "Newer"}, headers={"If-Match": read.headers["ETag"]})
    assert stale.code == "precondition_failed"
    assert (await world.user().get("/organizations")).body["items"][0]["name"] == "New"


async def test_members_are_those_of_the_organization(world: World) -> None:
    listed = (await world.user().get(f"/organizations/{world.ours.id}/members?limit=100")).body["items"]
    assert {each["email"] for each in listed} == {user.email for user in world.ours.users.values()}


async def test_a_profile_says_what_one_may_do(world: World) -> None:
    shown = (await world.user("billing").get("/users/profile")).body
    assert (shown["user"]["role"], shown["timeZone"]) == ("billing", "UTC")
    mine = (await world.user("billing").get("/permissions")).body
    assert mine["mine"] == shown["permissions"]
    assert "agents:read" not in shown["permissions"]


# --- health ---------------------------------------------------------------------------------------------------------


async def test_health_is_as_the_monitoring_reads_it(world: World) -> None:
    got = await world.anybody().get("/health")
    checks = {"database": True, "redis": True, "elevenlabs": True, "mls": True}
    assert (got.status, got.body) == (200, {"status": "healthy", "checks": checks})
    assert (await world.anybody().get("/health/live")).body == {"status": "ok"}
    assert (await world.anybody().get("/health/ready")).body == {"status": "ok"}


async def test_metrics_count_by_route_and_not_by_address(world: World) -> None:
    await world.user().get(f"/agents/{uuid4()}")
    async with world.http.get(f"{world.url}/metrics") as response:
        text = await response.text()
    assert 'operation="GET /agents/{agentId}"' in text
    assert "voicegate_api_responses_total" in text
