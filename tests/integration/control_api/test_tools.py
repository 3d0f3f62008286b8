"""Tools: kept with their secrets unseen, tried against a real server with all that servers do."""

from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
import pytest_asyncio

from tests.integration.control_api.api import Client, World, running_world
from tests.integration.control_api.conftest import a_database
from tests.integration.control_api.far_side import FarSide, far_side

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = "sk-very-secret-1234"
ORDER = {
    "type": "object",
    "properties": {"order_id": {"type": "string", "maxLength": 20}},
    "required": ["order_id"],
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def local(postgres_url: str, template: str, shared_redis_url: str) -> AsyncIterator[World]:
    """A world whose tools may reach this machine."""
    async with (
        a_database(postgres_url, template) as url,
        running_world(url, shared_redis_url, plain_http_tools=True) as running,
    ):
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def side() -> AsyncIterator[FarSide]:
    async with far_side() as server:
        yield server


def order_tool(side: FarSide, path: str = "/orders/{order_id}", **more: Any) -> dict[str, Any]:
    configuration = {"url": side.url + path, "sideEffect": False, **more.pop("configuration", {})}
    return {
        "name": f"tool_{len(path)}_{abs(hash((path, str(more), str(configuration)))) % 10**8}",
        "parameters": ORDER,
        "configuration": configuration,
        **more,
    }


async def made(client: Client, body: dict[str, Any]) -> dict[str, Any]:
    got = await client.post("/tools", body)
    assert got.status == 201, got.data
    return dict(got.body)


async def tried(client: Client, body: dict[str, Any], **arguments: Any) -> dict[str, Any]:
    tool = (await made(client, body))["id"]
    got = await client.post(f"/tools/{tool}/test", {"arguments": arguments})
    assert got.status == 200, got.data
    return dict(got.body)


async def test_a_tool_is_made_read_changed_listed_and_taken_away(local: World, side: FarSide) -> None:
    client = local.user("developer")
    tool = await made(client, order_tool(side, description="Looks up an order."))
    path = f"/tools/{tool['id']}"
    read = await client.get(path)
    assert (read.body, read.headers["ETag"]) == (tool, '"r1"')
    assert (await client.patch(path, {"description": "x"})).code == "precondition_required"
    assert (await client.patch(path, {"description": "x"}, headers={"If-Match": '"r7"'})).code == "precondition_failed"
    changed = await client.patch(path, {"description": "Better."}, headers={"If-Match": '"r1"'})
    assert (changed.body["description"], changed.body["name"], changed.body["revision"]) == ("Better.", tool["name"], 2)
    assert tool["id"] in [each["id"] for each in (await client.get("/tools?limit=100")).body["items"]]
    assert (await client.delete(path)).status == 204
    assert (await client.get(path)).code == "not_found"


async def test_the_same_key_makes_one_tool_and_a_name_is_taken_once(local: World, side: FarSide) -> None:
    client, body = local.user(), order_tool(side, name="only_one")
    first = await client.post("/tools", body, headers={"Idempotency-Key": "t1"})
    again = await client.post("/tools", body, headers={"Idempotency-Key": "t1"})
    assert (first.body, again.headers["Idempotency-Replayed"]) == (again.body, "true")
    assert (await client.post("/tools", body)).code == "conflict"
    assert (await local.user("owner", local.theirs).post("/tools", body)).status == 201, "each organisation has names"
    other = await made(client, order_tool(side, name="another_one"))
    taken = await client.patch(f"/tools/{other['id']}", {"name": "only_one"}, headers={"If-Match": "*"})
    assert taken.code == "conflict"


async def test_secrets_are_sent_and_never_seen(local: World, side: FarSide) -> None:
    client = local.user()
    headers = {"Authorization": "Bearer {{token}}"}
    body = order_tool(side, "/echo/{order_id}", configuration={"headers": headers}, secrets={"token": SECRET})
    tool = await client.post("/tools", body, headers={"Idempotency-Key": "t2"})
    path = f"/tools/{tool.body['id']}"
    assert tool.body["secretNames"] == ["token"]
    test = await client.post(f"{path}/test", {"arguments": {"order_id": "7"}})
    assert side.seen[-1][2]["Authorization"] == f"Bearer {SECRET}", "the far side gets it"
    assert test.body["ok"]
    assert "Bearer •••" in test.body["result"], "even where the far side repeats it"
    assert test.body["sent"]["headers"]["Authorization"] == "Bearer •••"
    shown = [tool, test, await client.get(path), await client.get("/tools")]
    shown.append(await client.post("/tools", body, headers={"Idempotency-Key": "t2"}))
    assert not [got for got in shown if SECRET.encode() in got.data]
    async with await psycopg.AsyncConnection.connect(local.owner_url) as connection:
        for table in ("tools", "audit_log", "idempotency_keys", "outbox", "agent_versions"):
            rows = await connection.execute(f"SELECT {table}::text FROM {table}".encode())
            assert SECRET not in str(await rows.fetchall()), table


async def test_a_secret_is_replaced_kept_and_taken_away(local: World, side: FarSide) -> None:
    client = local.user()
    headers = {"X-Key": "{{a}}-{{b}}"}
    body = order_tool(
        side, "/echo/x/{order_id}", configuration={"headers": headers}, secrets={"a": "aaaa", "b": "bbbb"}
    )
    path = f"/tools/{(await made(client, body))['id']}"
    await client.patch(path, {"secrets": {"a": "cccc"}}, headers={"If-Match": "*"})
    await client.post(f"{path}/test", {"arguments": {"order_id": "7"}})
    assert side.seen[-1][2]["X-Key"] == "cccc-bbbb"
    refused = await client.patch(path, {"secrets": {"b": None}}, headers={"If-Match": "*"})
    assert refused.code == "invalid", "a header wants it"
    assert refused.body["errors"][0]["pointer"] == "/body/configuration/headers/X-Key"


@pytest.mark.parametrize(
    ("path", "ok", "status", "says"),
    [
        ("/orders/{order_id}", True, 200, "Order A 1 is on its way."),
        ("/empty/{order_id}", True, 204, "done"),
        ("/500/{order_id}", False, 500, "out of order"),
        ("/huge/{order_id}", False, None, "more than 16384 bytes"),
        ("/redirect/{order_id}", False, None, "redirects (status 302), which is not followed"),
        ("/html/{order_id}", False, 200, "neither JSON nor plain text"),
        ("/broken/{order_id}", False, 200, "neither JSON nor plain text"),
        ("/half/{order_id}", False, 200, "neither JSON nor plain text"),
        ("/compressed/{order_id}", False, None, "compressed"),
        ("/slow/{order_id}", False, None, "no answer within 0.3 s"),
    ],
)
async def test_what_servers_do(local: World, side: FarSide, path: str, ok: bool, status: int | None, says: str) -> None:
    got = await tried(local.user(), order_tool(side, path, configuration={"timeoutMs": 300}), order_id="A 1")
    assert (got["ok"], got["status"]) == (ok, status)
    assert says in got["result"]
    assert got["sent"]["url"].endswith("/A%201")


async def test_arguments_cannot_leave_their_place(local: World, side: FarSide) -> None:
    client, before = local.user(), len(side.seen)
    path = f"/tools/{(await made(client, order_tool(side, '/orders/{order_id}?q={order_id}')))['id']}/test"
    for bad in ("..", ".", ""):
        got = (await client.post(path, {"arguments": {"order_id": bad}})).body
        assert (got["ok"], got["sent"]) == (False, None)
    for wrong in ({}, {"order_id": ["a"]}, {"order_id": "x" * 21}, {"order_id": {"a": 1}}, {"order_id": "\ud800"}):
        got = (await client.post(path, {"arguments": wrong})).body
        assert "order_id" in got["result"]
    assert len(side.seen) == before, "nothing was sent"
    await client.post(path, {"arguments": {"order_id": "../a?b&c#d", "unknown": 1}})
    assert side.seen[-1][1] == "/orders/..%2Fa%3Fb%26c%23d?q=..%2Fa%3Fb%26c%23d"


async def test_what_has_no_place_is_the_body_or_the_query(local: World, side: FarSide) -> None:
    many = {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "array", "items": {"type": "string"}}},
    }
    for method, raw_path, body in (
        ("POST", "/orders/1", b'{"a": 4, "b": ["x", "y"]}'),
        ("GET", "/orders/1?a=4&b=x&b=y", b""),
    ):
        tool = order_tool(side, "/orders/1", parameters=many, configuration={"method": method})
        await tried(local.user(), tool, a="4", b=["x", "y"])
        assert (side.seen[-1][0], side.seen[-1][1], side.seen[-1][3]) == (method, raw_path, body)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"configuration": {"url": "ftp://a.example/x"}}, "/body/configuration/url"),
    ({"configuration": {"url": "https://{order_id}.example/x"}}, "/body/configuration/url"),
    ({"configuration": {"url": "https://user:pw@a.example/x"}}, "/body/configuration/url"),
    ({"configuration": {"url": "https://a.example/{nobody}"}}, "/body/configuration/url"),
    ({"configuration": {"url": "https://a.example/x y"}}, "/body/configuration/url"),
    ({"configuration": {"url": "https://a.example/#x"}}, "/body/configuration/url"),
    ({"configuration": {"url": "https://[::1/x"}}, "/body/configuration/url"),
    ({"configuration": {"url": "https://a.example", "headers": {"Host": "b"}}}, "/body/configuration/headers/Host"),
    ({"configuration": {"url": "https://a.example", "headers": {"a": "x\r\ny"}}}, "/body/configuration/headers/a"),
    ({"configuration": {"url": "https://a.example", "headers": {"a/b": "x"}}}, "/body/configuration/headers/a~1b"),
    ({"configuration": {"url": "https://a.example", "headers": {"a": "{{none}}"}}}, "/body/configuration/headers/a"),
    ({"configuration": {"url": "https://a.example", "timeoutMs": 1}}, "/body/configuration/timeoutMs"),
    ({"name": "end_call"}, "/body/name"),
    ({"name": "transfer_to_me"}, "/body/name"),
    (
        {"parameters": {"properties": {"a": {"type": "string", "pattern": "(a+)+$"}}}},
        "/body/parameters/properties/a/pattern",
    ),
    ({"parameters": {"properties": {"a": {"$ref": "https://a.example"}}}}, "/body/parameters/properties/a/type"),
    ({"parameters": {"required": ["a"]}}, "/body/parameters"),
    ({"secrets": {"a": "with\nbreak"}}, "/body/secrets/a"),
]


@pytest.mark.parametrize(("change", "pointer"), BAD)
async def test_what_is_no_tool_is_refused_where_it_is_wrong(local: World, change: dict[str, Any], pointer: str) -> None:
    body = {"name": "fine", "parameters": ORDER, "configuration": {"url": "https://a.example/{order_id}"}, **change}
    got = await local.user().post("/tools", body)
    assert got.code == "invalid"
    assert pointer in [error["pointer"] for error in got.body["errors"]]
    assert b"with\\nbreak" not in got.data


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254", "2130706433", "10.1.2.3"]
)
async def test_nothing_private_is_reached_unless_it_is_allowed(world: World, host: str) -> None:
    """The same server, the same tool; only the setting differs."""
    async with far_side() as side:
        port = side.url.rpartition(":")[2]
        plain = {"name": f"p{abs(hash(host))}", "configuration": {"url": f"https://{host}:{port}/orders/1"}}
        got = await tried(world.user(), plain)
        assert (got["ok"], got["status"]) == (False, None)
        assert "public" in got["result"] or host.isdigit(), "numbers that are no names are not even looked up"
        assert side.seen == []
    refused = await world.user().post("/tools", {"name": "http", "configuration": {"url": "http://a.example/"}})
    assert refused.code == "invalid"
