"""Vonage at the door: signed webhooks, one-time tokens, and what is refused before any audio."""

import json
import time
import uuid
from collections.abc import Mapping
from typing import Any

import aiohttp
import pytest

from tests.integration.gateway.phone.ringing import Ringing, ringing, talks_and_listens
from tests.integration.gateway.phone.wires import bare
from voicegate.client.carriers import signatures
from voicegate.client.carriers.phone import PhoneCall
from voicegate.client.connection import CallFailed

SECRET = "the-signature-secret-of-the-account"
SETTINGS: dict[str, Any] = {"vonage_signature_secrets": SECRET}


def question(call_id: str = "63f61863") -> bytes:
    return json.dumps({"from": "441632960960", "to": "441632960961", "uuid": call_id}).encode()


def bearer(body: bytes, *, secret: str = SECRET, age_s: int = 0, token_id: str = "") -> dict[str, str]:
    issued = int(time.time()) - age_s
    jti = token_id or str(uuid.uuid4())
    token = signatures.vonage(secret, body, issued_at=issued, token_id=jti, application="app")
    return {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}


async def ask(gateway: Ringing, body: bytes, headers: Mapping[str, str]) -> tuple[int, Any]:
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{gateway.http}/phone/vonage/answer", data=body, headers=headers) as response,
    ):
        return response.status, await response.json(content_type=None)


async def endpoint(gateway: Ringing, call_id: str = "63f61863") -> dict[str, Any]:
    """What a signed question is answered with."""
    body = question(call_id)
    status, ncco = await ask(gateway, body, bearer(body))
    assert status == 200, ncco
    found = ncco[0]["endpoint"][0]
    assert isinstance(found, dict)
    return found


def connected(endpoint: Mapping[str, Any], **changed: str) -> str:
    fields = {"event": "websocket:connected", "content-type": endpoint["content-type"], **endpoint["headers"]}
    return json.dumps({**fields, **changed})


async def test_a_signed_call() -> None:
    async with ringing(**SETTINGS) as gateway, PhoneCall(gateway.target("vonage", secret=SECRET)) as phone:
        call = await gateway.answered()
        assert call.request.context["caller"] == "15550000001"
        await talks_and_listens(phone, call)


async def test_forged_questions_are_refused() -> None:
    body = question()
    async with ringing(**SETTINGS) as gateway:
        for headers in (
            {},
            {"Authorization": "Bearer x.y.z"},
            bearer(body, secret="somebody-elses-secret"),
            bearer(body, age_s=400),
            bearer(body, age_s=-60),
            bearer(body + b" "),
        ):
            status, problem = await ask(gateway, body, headers)
            assert (status, problem["code"]) in ((403, "forged"), (401, "unauthorized"))


async def test_a_question_is_answered_once() -> None:
    body = question()
    async with ringing(**SETTINGS) as gateway:
        headers = bearer(body)
        assert (await ask(gateway, body, headers))[0] == 200
        status, problem = await ask(gateway, body, headers)
        assert (status, problem["code"]) == (401, "token_used")


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"\xff\xfe", b"x" * 70_000])
async def test_unreadable_questions_are_refused(body: bytes) -> None:
    async with ringing(**SETTINGS) as gateway:
        status, problem = await ask(gateway, body, bearer(body))
        assert (status, problem["code"]) == (400, "bad_webhook")


async def test_without_a_token_no_call_begins() -> None:
    async with ringing(**SETTINGS) as gateway:
        url = f"{gateway.url}/phone/vonage"
        no_token = {"content-type": "audio/l16;rate=16000", "headers": {"call_id": "63f61863"}}
        for first in (connected(no_token), connected(no_token, token="guessed")):
            async with bare(url) as wire:
                await wire.send(first, b"\0" * 640)
                assert await wire.closed() == 1008
        assert not gateway.calls.calls


async def test_a_token_is_good_once_and_for_its_call() -> None:
    async with ringing(**SETTINGS) as gateway:
        first, second = await endpoint(gateway, "call-1"), await endpoint(gateway, "call-2")
        async with bare(first["uri"]) as wire:
            await wire.send(connected(first))
            await gateway.answered()
            async with bare(first["uri"]) as replay:
                await replay.send(connected(first), b"\0" * 640)
                assert await replay.closed() == 1008
        async with bare(second["uri"]) as foreign:
            await foreign.send(connected(second, call_id="call-1"))
            assert await foreign.closed() == 1008
        assert len(gateway.calls.calls) == 1


async def test_a_token_in_the_query_is_refused() -> None:
    async with ringing(**SETTINGS) as gateway:
        found = await endpoint(gateway)
        token = found["headers"].pop("token")
        with pytest.raises(aiohttp.WSServerHandshakeError):
            async with bare(f"{found['uri']}?token={token}"):
                pass
        assert not gateway.calls.calls


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("hello", 1007),
        ("{}", 1008),
        (b"\0" * 640, 1008),
        ('{"event":"websocket:connected","content-type":"audio/opus"}', 1008),
        ('{"event":"websocket:connected","content-type":"audio/l16;rate=44100","call_id":"x"}', 1008),
        ("x" * 70_000, 1009),
    ],
)
async def test_a_wrong_first_message_closes(message: str | bytes, code: int) -> None:
    async with ringing() as gateway, bare(f"{gateway.url}/phone/vonage") as wire:
        await wire.send(message)
        assert await wire.closed() == code
        assert not gateway.calls.calls


async def test_a_public_gateway_needs_the_secret() -> None:
    """Anonymous calls are allowed to browsers, not to who says it is a carrier."""
    async with ringing() as gateway:
        body = question()
        behind_a_proxy = {"X-Forwarded-For": "203.0.113.9", "Content-Type": "application/json"}
        status, problem = await ask(gateway, body, behind_a_proxy)
        assert (status, problem["code"]) in ((403, "forged"), (401, "unauthorized"))


async def test_the_simulated_vonage_is_refused_in_words() -> None:
    async with ringing(**SETTINGS) as gateway:
        with pytest.raises(CallFailed, match="refused"):
            async with PhoneCall(gateway.target("vonage", secret="somebody-elses-secret")):
                pass
