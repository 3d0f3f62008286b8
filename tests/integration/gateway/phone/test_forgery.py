"""Who may not call: refused before any audio is taken, with the documented status."""

import asyncio
from typing import Any

import aiohttp
import pytest

from tests.integration.gateway.phone.ringing import Ringing, ringing
from tests.integration.gateway.phone.wire_talk import (
    GUARDED,
    HOME,
    SIGNER,
    STREAM_SIGNATURE,
    closed_with,
    connected,
    media,
    say,
    start,
    token_of,
    webhook,
)

FIELDS = {"CallSid": "CA1", "From": "+15551", "To": "+15552", "CallStatus": "ringing", "Direction": "inbound"}


async def granted(gateway: Ringing, call_id: str = "CA1") -> str:
    status, twiml = await webhook(gateway, FIELDS | {"CallSid": call_id})
    assert status == 200
    return token_of(twiml)


async def refused(gateway: Ringing, message: dict[str, Any]) -> int:
    """The close code of a stream that begins so; no call may have begun."""
    before = len(gateway.calls.calls)
    async with connected(gateway, headers=STREAM_SIGNATURE) as socket:
        await say(socket, message)
        await say(socket, media(bytes(160), 0))
        code = await closed_with(socket)
    assert len(gateway.calls.calls) == before
    return code


@pytest.mark.parametrize(
    "signature", ["", "AAAA", SIGNER.compute_signature("https://evil.example.com/phone/twilio/answer", FIELDS)]
)
async def test_a_webhook_without_its_signature(signature: str) -> None:
    async with ringing(**GUARDED) as gateway:
        status, body = await webhook(gateway, FIELDS, signature=signature)
        assert (status, '"code":"forged"' in body) == (403, True)
        assert gateway.count("voicegate_gateway_refusals_total", code="forged") == 1


@pytest.mark.parametrize("headers", [{}, {"X-Twilio-Signature": "AAAA"}])
async def test_an_upgrade_without_its_signature(headers: dict[str, str]) -> None:
    async with ringing(**GUARDED) as gateway:
        with pytest.raises(aiohttp.WSServerHandshakeError) as raised:
            async with connected(gateway, headers=headers):
                pass
        assert raised.value.status == 403


async def test_a_token_is_good_once_for_its_call() -> None:
    async with ringing(**GUARDED) as gateway:
        token = await granted(gateway)
        async with connected(gateway, headers=STREAM_SIGNATURE) as socket:
            await say(socket, start(token))
            call = await gateway.answered()
            assert call.request.context["caller"] == "+15551"
        assert await refused(gateway, start(token)) == 1008, "used"
        assert await refused(gateway, start(await granted(gateway, "CA2"))) == 1008, "of another call"
        assert await refused(gateway, start()) == 1008, "none"
        assert await refused(gateway, start("x" * 300)) == 1008, "unknown"


async def test_two_streams_with_one_token_become_one_call() -> None:
    async with ringing(**GUARDED) as gateway:
        token = await granted(gateway)

        async def ring() -> bool:
            async with connected(gateway, headers=STREAM_SIGNATURE) as socket:
                await say(socket, start(token))
                try:
                    async with asyncio.timeout(1.0):
                        return await closed_with(socket) != 1008
                except TimeoutError:
                    return True

        assert sorted(await asyncio.gather(*(ring() for _ in range(5)))) == [False] * 4 + [True]
        assert len(gateway.calls.calls) == 1


async def test_a_token_in_a_query_is_refused_and_one_of_ours_in_the_path_is_taken() -> None:
    async with ringing(plivo_auth_token="secret") as gateway:
        with pytest.raises(aiohttp.WSServerHandshakeError) as raised:
            async with connected(gateway, "/phone/plivo?token=abc"):
                pass
        assert raised.value.status == 400
        async with connected(gateway, "/phone/plivo/unknown") as socket:
            audio = {"encoding": "audio/x-mulaw", "sampleRate": 8000}
            await say(socket, {"event": "start", "start": {"callId": "C1", "streamId": "S1", "mediaFormat": audio}})
            assert await closed_with(socket) == 1008
        assert not gateway.calls.calls


async def test_beyond_loopback_nobody_does_without() -> None:
    forwarded = {"X-Forwarded-For": "203.0.113.7"}
    async with ringing(anonymous=True) as gateway:
        async with connected(gateway, headers=forwarded) as socket:
            await say(socket, start())
            assert await closed_with(socket) == 1008
        status, _ = await webhook(gateway, FIELDS, signature="")
        assert status == 200, "this machine itself is in development mode"


@pytest.mark.parametrize(
    ("fields", "query", "status", "code"),
    [
        ({"From": "1"}, "", 400, "bad_webhook"),
        (FIELDS | {"X": "y" * 70_000}, "", 400, "bad_webhook"),
        ({f"f{index}": "1" for index in range(600)}, "", 400, "bad_webhook"),
    ],
)
async def test_unreadable_webhooks(fields: dict[str, str], query: str, status: int, code: str) -> None:
    async with ringing(**GUARDED) as gateway:
        got, body = await webhook(gateway, fields, query=query)
        assert (got, f'"code":"{code}"' in body) == (status, True)


async def test_unknown_carriers_and_methods() -> None:
    async with ringing() as gateway, aiohttp.ClientSession() as http:
        for path in ("/phone/nobody", "/phone/nobody/answer", "/phone/auto/answer"):
            async with http.get(gateway.http + path) as response:
                assert response.status == 404, path
        async with http.put(f"{gateway.http}/phone/twilio/answer") as response:
            assert response.status == 404
        async with http.get(f"{gateway.http}/phone/twilio") as response:
            assert response.status == 426


async def test_the_answer_speaks_of_the_public_address() -> None:
    async with ringing(**GUARDED) as gateway:
        _, twiml = await webhook(gateway, FIELDS)
        assert f'action="{HOME}/phone/twilio/answer?returned=1"' in twiml
        assert '<Stream url="wss://gate.example.com/phone/twilio">' in twiml
