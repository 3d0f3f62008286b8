"""Agents over HTTP: draft, publish, versions, rollback, documents, and what the gateway gets of it."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from gateway.tokens import TokenVerifier
from sessions.agents import AgentShelf
from tests.integration.control_api.api import SECRET, World
from voicegate.kernel.clock import SystemClock

pytestmark = pytest.mark.asyncio(loop_scope="module")

TELLER = {
    "greeting": "Hello, this is the teller.",
    "knowledge": [{"topic": "opening hours", "text": "We open at nine."}],
}


async def an_agent(world: World, configuration: dict[str, Any] | None = None, name: str = "Teller") -> Any:
    made = await world.user().post("/agents", {"name": name, "configuration": configuration or TELLER})
    assert made.status == 201, made.data
    return made.body


async def test_a_draft_is_made_read_and_listed(world: World) -> None:
    owner = world.user()
    made = await owner.post("/agents", {"name": "Teller", "configuration": TELLER})
    assert made.status == 201
    agent = made.body
    assert agent["status"] == "draft"
    assert agent["configuration"]["knowledge"] == TELLER["knowledge"]
    assert made.headers["Location"] == f"/api/v1/agents/{agent['id']}"
    read = await owner.get(f"/agents/{agent['id']}")
    assert (read.body, read.headers["ETag"]) == (agent, made.headers["ETag"])
    listed = await owner.get("/agents?limit=100")
    assert agent["id"] in [each["id"] for each in listed.body["items"]]


async def test_pages_follow_one_another_without_gap_or_repetition(world: World) -> None:
    made = [(await an_agent(world, name=f"page {number}"))["id"] for number in range(5)]
    seen, cursor = [], ""
    while True:
        page = (await world.user().get(f"/agents?limit=2{cursor}")).body
        assert len(page["items"]) <= 2
        seen += [each["id"] for each in page["items"]]
        if page["nextCursor"] is None:
            break
        cursor = f"&cursor={page['nextCursor']}"
    assert len(seen) == len(set(seen))
    assert [each for each in seen if each in made] == made[::-1]


@pytest.mark.parametrize("cursor", ["x", "bm90IGpzb24", "WzEsMl0", "%00", "WyIyMDI2LTAxLTAxVDAwOjAwOjAwIiwieCJd"])
async def test_a_cursor_that_is_not_ours(world: World, cursor: str) -> None:
    assert (await world.user().get(f"/agents?cursor={cursor}")).code == "bad_cursor"


async def test_a_change_wants_the_tag_that_was_read(world: World) -> None:
    agent = await an_agent(world)
    path, owner = f"/agents/{agent['id']}", world.user()
    assert (await owner.patch(path, {"name": "New"})).code == "precondition_required"
    stale = await owner.patch(path, {"name": "New"}, headers={"If-Match": '"r99"'})
    assert (stale.status, stale.code, stale.headers["ETag"]) == (412, "precondition_failed", '"r1"')
    changed = await owner.patch(path, {"name": "New"}, headers={"If-Match": '"r1"'})
    assert (changed.status, changed.body["name"], changed.headers["ETag"]) == (200, "New", '"r2"')
    assert changed.body["configuration"] == agent["configuration"], "what is left out stays"
    assert (await owner.patch(path, {"name": "Any"}, headers={"If-Match": "*"})).status == 200


async def test_of_two_changes_at_once_one_wins(world: World) -> None:
    agent = await an_agent(world)
    tries = [
        world.user().patch(f"/agents/{agent['id']}", {"name": f"n{number}"}, headers={"If-Match": '"r1"'})
        for number in range(6)
    ]
    assert sorted(got.status for got in await asyncio.gather(*tries)) == [200] + [412] * 5


async def test_an_incomplete_draft_cannot_be_published(world: World) -> None:
    agent = await an_agent(world, {"greeting": "Hello"})
    verdict = (await world.user().post(f"/agents/{agent['id']}/validate")).body
    assert verdict["valid"] is False
    refused = await world.user().post(f"/agents/{agent['id']}/publish")
    assert (refused.status, refused.code) == (422, "invalid")
    assert refused.body["errors"][0]["pointer"] == "/configuration/instructions"
    assert (await world.user().post(f"/agents/{agent['id']}/sessions")).code == "not_published"


async def test_publishing_reaches_the_gateway(world: World) -> None:
    agent = await an_agent(world)
    assert (await world.user().post(f"/agents/{agent['id']}/validate")).body == {"valid": True, "errors": []}
    published = await world.user().post(f"/agents/{agent['id']}/publish", {"note": "first"})
    assert (published.status, published.body["version"], published.body["note"]) == (201, 1, "first")
    snapshot = await AgentShelf(world.parts.redis).take(agent["id"])
    assert snapshot is not None
    assert (snapshot.version, snapshot.name, snapshot.greeting) == (1, "Teller", TELLER["greeting"])
    assert snapshot.knowledge[0].text == "We open at nine."
    assert snapshot.organization_id == str(world.ours.id)
    assert (await world.user().get(f"/agents/{agent['id']}")).body["status"] == "published"


async def test_rollback_publishes_the_old_as_new(world: World) -> None:
    agent = await an_agent(world)
    path, owner = f"/agents/{agent['id']}", world.user()
    await owner.post(f"{path}/publish")
    changed = {**TELLER, "greeting": "Welcome!"}
    await owner.patch(path, {"configuration": changed, "name": "Other"}, headers={"If-Match": "*"})
    await owner.post(f"{path}/publish")
    rolled = await owner.post(f"{path}/rollback", {"version": 1})
    assert (rolled.body["version"], rolled.body["name"]) == (3, "Teller")
    assert rolled.body["configuration"]["greeting"] == TELLER["greeting"]
    snapshot = await AgentShelf(world.parts.redis).take(agent["id"])
    assert snapshot is not None
    assert (snapshot.version, snapshot.greeting) == (3, TELLER["greeting"])
    assert (await owner.get(path)).body["configuration"]["greeting"] == "Welcome!", "the draft stays"
    listed = (await owner.get(f"{path}/versions?limit=2")).body
    assert [each["version"] for each in listed["items"]] == [3, 2]
    rest = (await owner.get(f"{path}/versions?limit=2&cursor={listed['nextCursor']}")).body
    assert ([each["version"] for each in rest["items"]], rest["nextCursor"]) == ([1], None)
    assert (await owner.get(f"{path}/versions/2")).body["name"] == "Other"
    assert (await owner.get(f"{path}/versions/9")).code == "not_found"
    assert (await owner.post(f"{path}/rollback", {"version": 9})).code == "not_found"


async def test_a_duplicate_is_a_draft_of_its_own(world: World) -> None:
    agent = await an_agent(world, name="N" * 100)
    copy = await world.user().post(f"/agents/{agent['id']}/duplicate")
    assert copy.status == 201
    assert copy.body["id"] != agent["id"]
    assert (copy.body["status"], copy.body["configuration"]) == ("draft", agent["configuration"])
    assert copy.body["name"].endswith("(copy)")


async def test_a_document_goes_out_and_comes_in(world: World) -> None:
    agent = await an_agent(world, {**TELLER, "instructions": "Be brief.\nBe kind: always."})
    exported = await world.user().get(f"/agents/{agent['id']}/export")
    assert exported.headers["Content-Type"].startswith("application/yaml")
    headers = {"Content-Type": "application/yaml"}
    imported = await world.user().post("/agents/import", data=exported.data, headers=headers)
    assert (imported.status, imported.body["configuration"]) == (201, agent["configuration"])
    schema = (await world.user().get("/agents/schema")).body
    assert "knowledge" in schema["$defs"]["AgentConfiguration"]["properties"]


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (b"name: [", "malformed"),
        (b"a: &a [x]\nb: *a", "malformed"),
        (b"\xff\xfe\xfa", "malformed"),
        (b"!!python/object/apply:os.system ['true']", "malformed"),
        (b"[" * 5000, "malformed"),
        (b"name: x", "invalid"),
        (b"just text", "invalid"),
        (b"name: x\nconfiguration: {surprise: 1}", "invalid"),
        (b"name: x\nconfiguration: {}\nformat: voicegate.agent/2", "invalid"),
        (b"#" * 300_000, "too_large"),
        (b"#" * 2_000_000, "too_large"),
    ],
)
async def test_documents_that_are_no_agents(world: World, document: bytes, code: str) -> None:
    headers = {"Content-Type": "application/yaml"}
    assert (await world.user().post("/agents/import", data=document, headers=headers)).code == code


async def test_a_document_says_what_it_is(world: World) -> None:
    got = await world.user().post("/agents/import", data=b"{}", headers={"Content-Type": "text/html"})
    assert got.code == "unsupported_media_type"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"name": ""}, "/body/name"),
        ({"name": "x" * 101}, "/body/name"),
        ({"name": "   "}, "/body/name"),
        ({"name": "a\x00b"}, "/body/name"),
        ({"name": "a", "surprise": 1}, "/body/surprise"),
        ({"name": "a", "configuration": {"language": "english"}}, "/body/configuration/language"),
        ({"name": "a", "configuration": {"knowledge": [{"topic": "t"}]}}, "/body/configuration/knowledge/0/text"),
    ],
)
async def test_what_does_not_fit_is_pointed_at(world: World, body: object, pointer: str) -> None:
    got = await world.user().post("/agents", body)
    assert (got.status, got.code) == (422, "invalid")
    assert pointer in [each["pointer"] for each in got.body["errors"]]


@pytest.mark.parametrize("data", [b"", b"{", b'"\\ud800"', b"[]", b"\xff"])
async def test_bodies_that_are_no_objects(world: World, data: bytes) -> None:
    got = await world.user().post("/agents", data=data, headers={"Content-Type": "application/json"})
    assert got.status in (400, 422)
    assert got.code in ("malformed", "invalid")


async def test_a_lone_surrogate_is_refused(world: World) -> None:
    got = await world.user().post("/agents", data=b'{"name": "\\ud800"}', headers={"Content-Type": "application/json"})
    assert got.code in ("malformed", "invalid")


async def test_a_session_has_all_a_client_needs(world: World) -> None:
    agent = await an_agent(world)
    await world.user().post(f"/agents/{agent['id']}/publish")
    await AgentShelf(world.parts.redis).remove(agent["id"])
    made = await world.user("agent").post(f"/agents/{agent['id']}/sessions")
    assert made.status == 201
    session = made.body
    assert session["webSocketUrl"] == f"ws://localhost:8000/voice/{session['sessionId']}"
    assert session["whipUrl"] == f"http://localhost:8000/whip?session={session['sessionId']}"
    assert session["tokenExpiresIn"] <= 60
    claims = TokenVerifier(SystemClock(), secrets=[SECRET]).verify(session["token"], session["sessionId"])
    assert (claims.agent, claims.session) == (agent["id"], session["sessionId"])
    assert claims.token_id, "it is good for one call"
    assert await AgentShelf(world.parts.redis).take(agent["id"]), "a Redis that lost it gets it again"


async def test_an_archived_agent_is_gone(world: World) -> None:
    agent = await an_agent(world)
    await world.user().post(f"/agents/{agent['id']}/publish")
    assert (await world.user().delete(f"/agents/{agent['id']}")).status == 204
    assert (await world.user().get(f"/agents/{agent['id']}")).code == "not_found"
    assert (await world.user().post(f"/agents/{agent['id']}/sessions")).code == "not_found"
    assert await AgentShelf(world.parts.redis).take(agent["id"]) is None
    listed = (await world.user().get("/agents?limit=100")).body["items"]
    assert agent["id"] not in [each["id"] for each in listed]


async def test_foreign_agents_are_not_there(world: World) -> None:
    agent = await an_agent(world)
    stranger = world.user("owner", world.theirs)
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/publish"), ("GET", "/export"), ("POST", "/sessions")):
        body: object = {} if method == "POST" else None
        foreign = await stranger(method, f"/agents/{agent['id']}{path}", body)
        unknown = await stranger(method, f"/agents/{uuid4()}{path}", body)
        assert (
            (foreign.code, foreign.body["detail"])
            == (unknown.code, unknown.body["detail"])
            == (
                "not_found",
                "There is no such agent.",
            )
        )
