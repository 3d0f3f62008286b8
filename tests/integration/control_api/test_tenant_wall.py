"""The wall between organisations.

Every operation × {no token, expired, other organisation, lower role, key without its scope, admin}.

The operations come from the OpenAPI document; :data:`ROWS` says how each is called so that it works. An operation
without a row fails :func:`test_every_operation_has_its_row`.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import uuid4

import pytest
import pytest_asyncio
from joserfc import jwt

from control_api.db.models.model import UserRole
from control_api.identity.permissions import PERMISSIONS, PERSONAL, ROLES, SCOPES
from scripts.contract import CONTRACT
from tests.integration.control_api.api import PASSWORD, Client, Company, Got, World
from tests.unit.control_api.test_contract import METHODS, operations

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True, slots=True)
class Things:
    """What an organisation has, by the names of path parameters."""

    company: Company
    ids: dict[str, str]


@dataclass(frozen=True, slots=True)
class Row:
    """How an operation is called."""

    body: Callable[[Things], object] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    data: bytes | None = None
    query: Callable[[Things], str] = lambda _: ""
    foreign: int = 404
    """The answer to another organisation's things. 200: a list of one's own."""
    refused: int = 0
    """The answer to those who may: these things cannot be had by them either."""
    uses_up: bool = False
    """The things are gone afterwards."""


def empty(_: Things) -> object:
    return {}


def of_agent(things: Things) -> str:
    return f"?agentId={things.ids['agentId']}"


def a_tool() -> dict[str, object]:
    """Where it leads, nothing is ever sent: the address is a private one."""
    return {"name": f"t{uuid4().hex}", "configuration": {"url": "https://10.0.0.1/"}}


def a_handoff(agent: str) -> dict[str, object]:
    return {"fromAgentId": agent, "toNumber": f"+1{uuid4().int % 10**12:012}"}


ANY = {"If-Match": "*"}
ROWS: dict[str, Row] = {
    "users.profile": Row(foreign=200),
    "permissions.list": Row(foreign=200),
    "organizations.list": Row(foreign=200),
    "organizations.get": Row(),
    "organizations.rename": Row(lambda _: {"name": "Renamed"}, ANY),
    "organizations.members": Row(),
    "apiKeys.list": Row(foreign=200),
    "apiKeys.create": Row(lambda _: {"name": "k", "scopes": ["agents:read"]}, foreign=201),
    "apiKeys.revoke": Row(uses_up=True),
    "agents.list": Row(foreign=200),
    "agents.create": Row(lambda _: {"name": "A"}, foreign=201),
    "agents.schema": Row(foreign=200),
    "agents.importDocument": Row(
        data=b"name: A\nconfiguration: {}\n", headers={"Content-Type": "application/yaml"}, foreign=201
    ),
    "agents.get": Row(),
    "agents.change": Row(lambda _: {"name": "B"}, ANY),
    "agents.archive": Row(uses_up=True),
    "agents.validate": Row(empty),
    "agents.publish": Row(empty),
    "agents.versions": Row(),
    "agents.version": Row(),
    "agents.rollback": Row(lambda _: {"version": 1}),
    "agents.duplicate": Row(empty),
    "agents.export": Row(),
    "agents.beginSession": Row(empty),
    "agents.chat": Row(lambda _: {"text": "Hello"}),
    "tools.list": Row(query=lambda things: f"?agentId={things.ids['agentId']}"),
    "tools.create": Row(lambda things: {**a_tool(), "agentId": things.ids["agentId"]}),
    "tools.get": Row(),
    "tools.change": Row(lambda _: {"description": "Better."}, ANY),
    "tools.delete": Row(uses_up=True),
    "tools.test": Row(empty),
    "handoffs.list": Row(query=lambda things: f"?fromAgentId={things.ids['agentId']}"),
    "handoffs.create": Row(lambda things: a_handoff(things.ids["agentId"])),
    "handoffs.get": Row(),
    "handoffs.change": Row(lambda _: {"condition": "They ask for it."}, ANY),
    "handoffs.delete": Row(uses_up=True),
    "handoffs.test": Row(lambda _: {"text": "Hello"}),
    "conversations.list": Row(query=lambda things: f"?agentId={things.ids['agentId']}"),
    "conversations.create": Row(lambda things: {"agentId": things.ids["agentId"], "turns": [{"userText": "Hi"}]}),
    "conversations.get": Row(),
    "conversations.transcript": Row(),
    "conversations.latency": Row(),
    "conversations.events": Row(),
    "conversations.setTags": Row(lambda _: {"tags": ["vip"]}),
    "conversations.giveFeedback": Row(lambda _: {"rating": 5}),
    "conversations.feedback": Row(),
    "conversations.erase": Row(uses_up=True),
    "conversations.command": Row(lambda _: {"type": "mute"}, refused=409),
    "credits.balance": Row(foreign=200),
    "credits.transactions": Row(foreign=200),
    "credits.holds": Row(foreign=200),
    "credits.usage": Row(foreign=200),
    "credits.estimate": Row(empty, foreign=200),
    "agentRuns.list": Row(query=of_agent),
    "agentRuns.create": Row(lambda things: {"agentId": things.ids["agentId"], "text": "Hello?"}),
    "agentRuns.get": Row(),
    "agents.performance": Row(),
    "analytics.summary": Row(query=of_agent),
    "analytics.timeseries": Row(query=of_agent),
    "analytics.latency": Row(query=of_agent),
    "analytics.interruptions": Row(query=of_agent),
    "analytics.errors": Row(query=of_agent),
    "analytics.costs": Row(query=of_agent),
    "analytics.export": Row(query=of_agent),
    "analytics.live": Row(query=lambda _: "?seconds=0", foreign=200),
    "credits.grant": Row(lambda _: {"amountMicro": 1_000_000}, foreign=201),
}
PUBLIC: dict[str, tuple[object, int]] = {
    "auth.login": ({"email": "nobody@example.com", "password": PASSWORD}, 401),
    "auth.refresh": ({"refreshToken": "x"}, 401),
    "auth.logout": ({"refreshToken": "x"}, 401),
    "auth.jwks": (None, 200),
    "health.get": (None, 200),
    "health.live": (None, 200),
    "health.ready": (None, 200),
}
"""Operations for anybody: a body, and what they answer to it."""

ALL = {operation["operationId"]: operation for operation in operations()}
GUARDED = sorted(name for name in ALL if name in ROWS)


def where(name: str) -> tuple[str, str]:
    """Method and path of an operation."""
    paths = json.loads((CONTRACT / "openapi.json").read_text())["paths"]
    return next(
        (method.upper(), path.removeprefix("/api/v1"))
        for path, item in paths.items()
        for method, operation in item.items()
        if method in METHODS and operation["operationId"] == name
    )


async def call(client: Client, name: str, things: Things) -> Got:
    row, (method, path) = ROWS[name], where(name)
    for parameter, value in things.ids.items():
        path = path.replace(f"{{{parameter}}}", value)
    assert "{" not in path, f"{name}: what is its path's parameter?"
    body = row.body(things) if row.body else None
    got = await client(method, path + row.query(things), body, data=row.data, headers=row.headers)
    assert str(got.status) in ALL[name]["responses"], f"{name} answered {got.status}, which it does not document"
    return got


async def make_things(world: World, company: Company) -> Things:
    owner = world.user("owner", company)
    configuration = {"instructions": "Be kind.", "greeting": f"secret of {company.id}"}
    agent = (await owner.post("/agents", {"name": "Agent", "configuration": configuration})).body["id"]
    assert (await owner.post(f"/agents/{agent}/publish")).status == 201
    turns = [{"userText": f"secret of {company.id}"}]
    conversation = (await owner.post("/conversations", {"agentId": agent, "turns": turns})).body["id"]
    key = (await owner.post("/api-keys", {"name": "key", "scopes": ["agents:read"]})).body["id"]
    tool = (await owner.post("/tools", {**a_tool(), "description": f"secret of {company.id}"})).body["id"]
    handoff = (await owner.post("/handoffs", a_handoff(agent))).body["id"]
    run = (await owner.post("/agent-runs", {"agentId": agent, "text": f"secret of {company.id}"})).body["id"]
    ids = {
        "runId": run,
        "agentId": agent,
        "toolId": tool,
        "handoffId": handoff,
        "conversationId": conversation,
        "keyId": key,
        "version": "1",
    }
    return Things(company, {**ids, "organizationId": str(company.id)})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ours(world: World) -> Things:
    return await make_things(world, world.ours)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def theirs(world: World) -> Things:
    return await make_things(world, world.theirs)


async def test_every_operation_has_its_row() -> None:
    assert set(ALL) == ROWS.keys() | PUBLIC.keys()
    assert {name for name, operation in ALL.items() if operation["x-permission"] == "public"} == PUBLIC.keys()


@pytest.mark.parametrize("name", sorted(PUBLIC))
async def test_for_anybody(world: World, name: str) -> None:
    (method, path), (body, status) = where(name), PUBLIC[name]
    assert (await world.anybody()(method, path, body)).status == status


@pytest.mark.parametrize("name", GUARDED)
async def test_without_a_token(world: World, ours: Things, name: str) -> None:
    got = await call(world.anybody(), name, ours)
    assert (got.status, got.code) == (401, "unauthorized")


@pytest.mark.parametrize("name", GUARDED)
async def test_with_an_expired_token(world: World, ours: Things, name: str) -> None:
    issuer = world.parts.issuer
    claims = issuer.read_access(issuer.access_token(world.ours.users["owner"], uuid4()))
    header = {"alg": "ES256", "typ": "at+jwt"}
    expired = jwt.encode(header, {**claims, "exp": claims["iat"] - 60}, issuer._key, ["ES256"])
    got = await call(world.with_token(expired), name, ours)
    assert (got.status, got.code) == (401, "unauthorized")


@pytest.mark.parametrize("name", GUARDED)
async def test_of_another_organization(world: World, ours: Things, theirs: Things, name: str) -> None:
    stranger = world.user("owner", world.theirs)
    got = await call(stranger, name, ours)
    assert got.status == ROWS[name].foreign
    mine = [*(each for each in ours.ids.values() if each != "1"), f"secret of {ours.company.id}"]
    assert not [each for each in mine if each.encode() in got.data], "nothing of ours is in it"
    if got.status == 404:
        unknown = Things(ours.company, {key: str(uuid4()) for key in ours.ids} | {"version": "1"})
        nowhere = await call(stranger, name, unknown)
        assert (nowhere.code, nowhere.body["detail"]) == (got.code, got.body["detail"]), "as if there were none"


@pytest.mark.parametrize("name", GUARDED)
async def test_with_every_role_that_may_not(world: World, ours: Things, name: str) -> None:
    allowed = PERMISSIONS[ALL[name]["x-permission"]]
    for role in (role for role in ROLES if role not in allowed):
        got = await call(world.user(role), name, ours)
        assert (got.status, got.code) == (403, "forbidden"), role


@pytest.mark.parametrize("name", GUARDED)
async def test_with_a_key_that_has_every_other_scope(world: World, ours: Things, name: str) -> None:
    permission = ALL[name]["x-permission"]
    key = await world.key(*(scope for scope in SCOPES if scope != permission), *PERSONAL)
    got = await call(key, name, ours)
    assert (got.status, got.code) == (403, "forbidden")


@pytest.mark.parametrize("name", GUARDED)
async def test_with_every_role_that_may(world: World, ours: Things, name: str) -> None:
    """``admin`` and all others that the table names."""
    for role in sorted(PERMISSIONS[ALL[name]["x-permission"]]):
        things = await make_things(world, world.ours) if ROWS[name].uses_up else ours
        got = await call(world.user(role), name, things)
        assert got.status in (ROWS[name].refused or 200, 201, 204), f"{role}: {got.data!r}"


@pytest.mark.parametrize("name", [name for name in GUARDED if ALL[name]["x-permission"] not in PERSONAL])
async def test_with_a_key_that_has_its_scope(world: World, ours: Things, name: str) -> None:
    scopes = {ALL[name]["x-permission"], "agents:read"}  # a key cannot be given what its maker has not
    things = await make_things(world, world.ours) if ROWS[name].uses_up else ours
    got = await call(await world.key(*scopes), name, things)
    assert got.status in (ROWS[name].refused or 200, 201, 204), got.data


async def test_the_table_is_of_use() -> None:
    """Some permission is missing to every role but the leaders: the columns above are not empty."""
    lacking: dict[UserRole, int] = {role: sum(role not in roles for roles in PERMISSIONS.values()) for role in ROLES}
    assert all(lacking[role] for role in ROLES if role not in ("owner", "admin")), lacking
