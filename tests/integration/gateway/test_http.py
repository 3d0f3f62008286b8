"""Refusals before the upgrade, health and metrics, over real HTTP."""

import asyncio
import json
import select
import socket
import time
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
import uvloop

from gateway.health import Check, HealthCheck
from gateway.tokens import Claims, sign
from voicegate.kernel.errors import RefusedCall, StateUnavailable

SECRET = "signing-secret-of-the-test"
KEY = "static-api-key-of-the-test"


def token(session: str = "s1", *, lives_s: int = 60, agent: str = "", token_id: str = "", secret: str = SECRET) -> str:
    return sign(secret, Claims(session, int(datetime.now(UTC).timestamp()) + lives_s, agent, token_id))


async def knock(served: Any, path: str = "/voice/s1", **headers: str) -> tuple[int, dict[str, Any]]:
    """Try to upgrade: 101 and nothing, or the status and the problem body, checked for its shape."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    upgrade = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Version": "13",
    }
    async with aiohttp.ClientSession() as http, http.get(served.http + path, headers={**upgrade, **named}) as response:
        if response.status == 101:
            return 101, dict(response.headers)
        assert response.content_type == "application/problem+json"
        body = json.loads(await response.read())
        assert body["status"] == response.status
        assert body["detail"]
        if response.status == 503:
            assert int(response.headers["Retry-After"]) >= 1
        if response.status == 401:
            assert response.headers["WWW-Authenticate"].startswith("Bearer")
        return response.status, body


async def test_a_call_on_loopback_needs_no_token(served: Any) -> None:
    assert (await knock(served))[0] == 101


REFUSED: list[tuple[str, dict[str, str], int, str]] = [
    ("/voice/" + "x" * 65, {}, 400, "bad_session_id"),
    ("/voice/a.b", {}, 400, "bad_session_id"),
    ("/voice/s%20s", {}, 400, "bad_session_id"),
    ("/voice/s1?token=abc", {}, 400, "token_in_query"),
    ("/voice/s1?Access_Token=abc", {}, 400, "token_in_query"),
    ("/voice/s1", {"Sec_WebSocket_Protocol": "soap"}, 400, "bad_subprotocol"),
    ("/voice/s1", {"Sec_WebSocket_Protocol": "voicegate.token.abc"}, 400, "bad_subprotocol"),
    ("/voice/s1", {"Authorization": "Basic abc"}, 401, "unauthorized"),
    ("/voice/s1", {"Authorization": "Bearer nonsense"}, 401, "unauthorized"),
    ("/voice/s1", {"Origin": "https://evil.example"}, 403, "foreign_origin"),
    ("/voice/s1", {"Origin": "null"}, 403, "foreign_origin"),
    ("/voice/s1", {"X_Forwarded_For": "203.0.113.7"}, 403, "foreign_client"),
    ("/voice/s1", {"Forwarded": "for=203.0.113.7;proto=https"}, 403, "foreign_client"),
    ("/voice/s1", {"Host": "evil.example", "Origin": "http://evil.example"}, 403, "foreign_client"),
]


@pytest.mark.parametrize(("path", "headers", "status", "code"), REFUSED)
async def test_refusals_in_words(served: Any, path: str, headers: dict[str, str], status: int, code: str) -> None:
    found, body = await knock(served, path, **headers)
    assert (found, body["code"]) == (status, code)
    assert served.calls.calls == {}
    assert served.count("voicegate_gateway_refusals_total", code=code) == 1


ALLOWED: list[dict[str, str]] = [
    {"Origin": "http://localhost:3000"},
    {"Origin": "http://127.0.0.1"},
    {"X_Forwarded_For": "127.0.0.1"},
    {"Host": "localhost", "Origin": "http://[::1]:5173"},
]


@pytest.mark.parametrize("headers", ALLOWED)
async def test_pages_and_proxies_of_this_machine_may_call(served: Any, headers: dict[str, str]) -> None:
    assert (await knock(served, **headers))[0] == 101


async def test_a_plain_request_is_told_to_upgrade(served: Any) -> None:
    async with aiohttp.ClientSession() as http, http.get(f"{served.http}/voice/s1") as response:
        assert response.status == 426
        assert response.headers["Upgrade"] == "websocket"
        assert (await response.json(content_type=None))["code"] == "not_a_websocket"


@pytest.mark.parametrize("header", [{"Sec_WebSocket_Version": "99"}, {"Sec_WebSocket_Key": "short"}])
async def test_a_handshake_that_is_none_begins_no_call(served: Any, header: dict[str, str]) -> None:
    status, body = await knock(served, **header)
    assert (status, body["code"]) == (426, "not_a_websocket")
    assert served.calls.calls == {}


async def test_a_client_that_leaves_during_the_upgrade_leaves_no_call_behind(served: Any) -> None:
    served.calls.gate = asyncio.Event()
    knocking = asyncio.get_running_loop().create_task(knock(served))
    async with asyncio.timeout(5):
        while not served.count("voicegate_gateway_connections"):
            await asyncio.sleep(0.01)
        knocking.cancel()
        await asyncio.gather(knocking, return_exceptions=True)
        await asyncio.sleep(0.1)
        served.calls.gate.set()
        while served.count("voicegate_gateway_connections"):
            await asyncio.sleep(0.01)
    assert served.calls.calls["s1"].log == ["hang_up client"]


async def test_tokens(start: Any) -> None:
    """Listening beyond loopback: everybody needs a good token."""
    async with start(host="0.0.0.0", token_secrets=(SECRET,), api_keys=(KEY,)) as served:

        async def status(presented: str, path: str = "/voice/s1") -> int:
            return (await knock(served, path, Authorization=f"Bearer {presented}"))[0]

        assert (await knock(served))[0] == 401
        assert await status(KEY) == 101
        assert await status(token("s2"), "/voice/s2") == 101
        assert await status(token("*"), "/voice/s3") == 101
        assert await status(token("s2")) == 403
        assert await status(token(lives_s=-1)) == 401
        assert await status(token(secret="another-secret-of-another")) == 401
        assert await status("x" * 3000) == 401
        once = token("*", token_id="once")
        assert await status(once, "/voice/s4") == 101
        found, body = await knock(served, "/voice/s5", Authorization=f"Bearer {once}")
        assert (found, body["code"]) == (401, "token_used")
        offered = f"voice.simple, voicegate.token.{token('s6')}"
        found, headers = await knock(served, "/voice/s6", Sec_WebSocket_Protocol=offered)
        assert (found, headers["Sec-WebSocket-Protocol"]) == (101, "voice.simple")


async def test_a_setting_opens_the_gateway_for_everybody(start: Any) -> None:
    async with start(host="0.0.0.0", anonymous=True, allowed_origins=("https://app.example",)) as served:
        assert (await knock(served, Host="voice.example", X_Forwarded_For="203.0.113.7"))[0] == 101
        assert (await knock(served, "/voice/s2", Host="voice.example", Origin="https://app.example"))[0] == 101
        assert (await knock(served, "/voice/s3", Host="voice.example", Origin="http://voice.example"))[0] == 101
        assert (await knock(served, "/voice/s4", Host="voice.example", Origin="https://evil.example"))[0] == 403


async def test_tokens_are_never_logged(start: Any, logged: Any) -> None:
    good = token("*")
    async with start(host="0.0.0.0", token_secrets=(SECRET,), api_keys=(KEY,)) as served:
        await knock(served, f"/voice/s1?token={good}", Authorization=f"Bearer {KEY}")
        await knock(served, "/voice/s1", Authorization=f"Bearer {good}")
        await knock(served, "/voice/s2", Sec_WebSocket_Protocol=f"voice.v1, voicegate.token.{good}")
        await knock(served, "/voice/s3", Sec_WebSocket_Protocol=f"voicegate.token.{good}")
        await asyncio.sleep(0.05)
    assert "call refused" in logged.getvalue()
    assert "connection closed" in logged.getvalue()
    assert good not in logged.getvalue()
    assert KEY not in logged.getvalue()


async def test_full_is_refused_in_words(start: Any) -> None:
    async with start(max_connections=1, token_secrets=(SECRET,)) as served, aiohttp.ClientSession() as http:
        async with http.ws_connect(f"{served.url}/voice/s1"):
            found, body = await knock(served, "/voice/s2")
            assert (found, body["code"], body["retryAfterS"]) == (503, "busy", 5.0)
            once = token("*", token_id="once")
            assert (await knock(served, "/voice/s2", Authorization=f"Bearer {once}"))[0] == 503
        async with asyncio.timeout(5):
            while (await knock(served, "/voice/s2", Authorization=f"Bearer {once}"))[0] != 101:
                await asyncio.sleep(0.02)


async def test_a_peer_that_connects_too_often(start: Any) -> None:
    async with start(connections_per_s=1.0, connection_burst=3.0) as served:
        for number in range(3):
            assert (await knock(served, f"/voice/s{number}"))[0] == 101
        found, body = await knock(served, "/voice/s9")
        assert (found, body["code"]) == (429, "too_many_connections")
        assert 0 < body["retryAfterS"] <= 1


ATTACH_ERRORS: list[tuple[Exception, int, str]] = [
    (RefusedCall("busy", "full", retry_after_s=7), 503, "busy"),
    (RefusedCall("draining", "bye"), 503, "draining"),
    (RefusedCall("unauthorized", "it has a connection"), 409, "in_use"),
    (RefusedCall("gone", "nothing there"), 410, "gone"),
    (RefusedCall("insufficient_credits", "nothing left"), 402, "insufficient_credits"),
    (StateUnavailable("away"), 503, "state_unavailable"),
    (RefusedCall("surprise", "inner detail"), 500, "surprise"),
]


@pytest.mark.parametrize(("error", "status", "code"), ATTACH_ERRORS)
async def test_the_simple_profile_is_refused_before_the_upgrade(
    served: Any, error: Exception, status: int, code: str
) -> None:
    served.calls.fail_with = error
    found, body = await knock(served)
    assert (found, body["code"]) == (status, code)
    assert "inner detail" not in body["detail"]
    assert served.count("voicegate_gateway_connections") == 0


class Switch:
    """A dependency that can be turned off, or made to hang or to raise."""

    def __init__(self) -> None:
        self.answer: Check | Exception | float = Check(ok=True, detail="fine")

    async def __call__(self) -> Check:
        match self.answer:
            case Check():
                return self.answer
            case float():
                await asyncio.sleep(self.answer)
                return Check(ok=True)
            case error:
                raise error


async def get(served: Any, path: str, **headers: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as http, http.get(served.http + path, headers=headers) as response:
        return response.status, await response.text()


@pytest.mark.parametrize(
    "answer", [Check(ok=False, detail="down"), OSError("secret detail"), 5.0], ids=["no", "raises", "hangs"]
)
async def test_a_required_part_is_away(start: Any, answer: Any) -> None:
    switch = Switch()
    switch.answer = answer
    async with start(checks={"redis": HealthCheck(switch, code="state_unavailable")}) as served:
        found, body = await knock(served)
        assert (found, body["code"]) == (503, "state_unavailable")
        status, text = await get(served, "/health")
        assert (status, json.loads(text)["status"]) == (503, "failed")
        assert "secret detail" not in text
        assert (await get(served, "/health/ready"))[0] == 503
        assert (await get(served, "/health/live"))[0] == 200


async def test_an_optional_part_is_away(start: Any) -> None:
    switch = Switch()
    switch.answer = Check(ok=False, detail="no key")
    async with start(checks={"elevenlabs": HealthCheck(switch, required=False)}) as served:
        assert (await knock(served))[0] == 101
        status, text = await get(served, "/health")
        report = json.loads(text)
        assert (status, report["status"]) == (200, "degraded")
        assert report["checks"]["elevenlabs"]["detail"] == "no key"
        assert (await get(served, "/health/ready"))[0] == 200


async def test_health(served: Any) -> None:
    status, text = await get(served, "/health")
    assert (status, json.loads(text)) == (200, {"status": "ok", "calls": 0, "draining": False, "checks": {}})


async def test_draining_refuses_and_is_not_ready(served: Any) -> None:
    served.gateway.parts.admission.draining = True
    assert (await knock(served))[1]["code"] == "draining"
    assert await get(served, "/health/ready") == (503, '{"status":"draining"}')
    assert (await get(served, "/health/live"))[0] == 200


async def test_metrics(served: Any) -> None:
    await knock(served, "/voice/a.b")
    status, text = await get(served, "/metrics")
    assert status == 200
    assert 'voicegate_gateway_refusals_total{code="bad_session_id"} 1.0' in text
    _, text = await get(served, "/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert text.endswith("# EOF\n")


async def test_an_unknown_address(served: Any) -> None:
    assert (await get(served, "/voice/"))[0] == 404
    assert (await get(served, "/voice/a/b"))[0] == 404


async def test_a_crowd_that_comes_while_the_loop_is_late_is_not_kept_outside(start: Any) -> None:
    """Whom the kernel has no place for tries again after a second, and learns only then that all lines are busy."""
    async with start() as served:
        crowd = [socket.socket() for _ in range(300)]
        try:
            waiting = select.poll()
            for each in crowd:
                each.setblocking(False)
                each.connect_ex(("127.0.0.1", served.gateway.port))
                waiting.register(each, select.POLLOUT)
            begun = time.monotonic()
            up: set[int] = set()
            while (
                len(up) < len(crowd) and time.monotonic() < begun + 0.8
            ):  # nothing is awaited: the loop accepts nobody
                for descriptor, _ in waiting.poll(0):
                    up.add(descriptor)
                    waiting.unregister(descriptor)
            assert len(up) == len(crowd)
        finally:
            for each in crowd:
                each.close()


def test_a_crowd_is_let_in_by_few_iterations_of_the_loop(start: Any) -> None:
    """With uvloop, as the product runs; by itself that accepts one connection in an iteration."""

    async def crowd() -> int:
        async with start() as served:
            knocking = [socket.socket() for _ in range(64)]
            try:
                for each in knocking:
                    each.setblocking(False)
                    each.connect_ex(("127.0.0.1", served.gateway.port))  # within one machine: at once
                    each.send(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                iterations, answered = 0, 0
                while answered < len(knocking):
                    iterations += 1
                    assert iterations < 10_000
                    await asyncio.sleep(0)
                    answered = len(select.select(knocking, [], [], 0)[0])
                return iterations
            finally:
                for each in knocking:
                    each.close()

    assert uvloop.run(crowd()) < 40
