"""An operator's orders to a call: transfer, keys, the end; and who may give them."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from plivo.utils.signature_v3 import construct_post_url, get_signature_v3

from tests.integration.gateway.phone.ringing import Ringing, ringing, soon
from tests.integration.gateway.phone.wire_talk import closed_with, connected, start
from tests.integration.gateway.phone.wire_talk import say as send
from tests.vendors.carrier_rest import ACCOUNT, KEY, SECRET, CarrierRest, carrier_rest

TELNYX: dict[str, Any] = {
    "event": "start",
    "stream_id": "S1",
    "start": {
        "call_control_id": "v3:C1",
        "media_format": {"encoding": "PCMU", "sample_rate": 8000, "channels": 1},
    },
}
PLIVO: dict[str, Any] = {
    "event": "start",
    "start": {"callId": "C1", "streamId": "S1", "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000}},
}
STARTS = {"twilio": start(), "telnyx": TELNYX, "plivo": PLIVO}


async def post(gateway: Ringing, path: str, body: object, **headers: str) -> tuple[int, str]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with (
        aiohttp.ClientSession() as http,
        http.post(gateway.http + path, data=data, headers=headers) as response,
    ):
        return response.status, await response.text()


async def order(gateway: Ringing, body: object, **headers: str) -> int:
    (session_id,) = gateway.calls.calls
    status, _ = await post(gateway, f"/phone/calls/{session_id}", body, **headers)
    return status


@asynccontextmanager
async def accounts() -> AsyncIterator[tuple[CarrierRest, dict[str, Any]]]:
    """A REST stand-in, and settings that lead to it. No secret of the webhooks but the accounts' own."""
    async with carrier_rest() as rest:
        yield (
            rest,
            {
                "twilio_account_sid": ACCOUNT,
                "twilio_api_url": rest.url,
                "telnyx_api_key": KEY,
                "telnyx_api_url": rest.url,
                "plivo_auth_id": ACCOUNT,
                "plivo_auth_token": SECRET,
                "plivo_api_url": rest.url,
            },
        )


async def test_a_call_is_handed_to_a_number() -> None:
    async with accounts() as (rest, settings), ringing(**settings) as gateway:
        async with connected(gateway, "/phone/telnyx") as socket:
            await send(socket, TELNYX)
            call = await gateway.answered()
            assert await order(gateway, {"action": "transfer", "to": "+15559"}) == 204
            await closed_with(socket)
        assert rest.asked == [("telnyx", "v3:C1", {"action": "transfer", "to": "+15559"})], "and is not hung up"
        assert call.log[-1] == "hang_up transferred"


async def test_where_the_close_is_no_end_the_carrier_is_asked_to_hang_up() -> None:
    async with accounts() as (rest, settings), ringing(**settings) as gateway:
        async with connected(gateway, "/phone/telnyx") as socket:
            await send(socket, TELNYX)
            await gateway.answered()
            assert await order(gateway, {"action": "hangUp"}) == 204
            assert await closed_with(socket) == 1000
        await soon(lambda: rest.asked == [("telnyx", "v3:C1", {"action": "hangup"})])
        assert await order(gateway, {"action": "hangUp"}) == 404, "it is no call any more"


async def test_keys_go_into_a_call_where_the_carrier_takes_them() -> None:
    async with ringing() as gateway, connected(gateway, "/phone/plivo") as socket:
        await send(socket, PLIVO)
        await gateway.answered()
        assert await order(gateway, {"action": "keys", "digits": "12#"}) == 204
        while (message := await socket.receive_json(timeout=5))["event"] != "sendDTMF":
            pass
        assert message == {"event": "sendDTMF", "dtmf": "12#"}


async def test_what_a_carrier_cannot_do_is_said() -> None:
    async with ringing() as gateway, connected(gateway) as socket:
        await send(socket, start())
        await gateway.answered()
        assert await order(gateway, {"action": "keys", "digits": "1"}) == 409
        assert await order(gateway, {"action": "transfer", "to": "+15559"}) == 409


async def test_what_the_carrier_refuses_leaves_the_call_as_it_is() -> None:
    async with (
        accounts() as (rest, settings),
        ringing(**settings) as gateway,
        connected(gateway, "/phone/telnyx") as socket,
    ):
        await send(socket, TELNYX)
        call = await gateway.answered()
        rest.broken = True
        assert await order(gateway, {"action": "transfer", "to": "+15559"}) == 502
        assert "hang_up" not in " ".join(call.log)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{" * 5_000,
        {"action": "dance"},
        {"action": "transfer"},
        {"action": "transfer", "to": "sip:x@y"},
        {"action": "transfer", "to": "</Dial>"},
        {"action": "keys", "digits": "E"},
        {"action": "hangUp", "more": 1},
    ],
)
async def test_orders_that_are_none(body: object) -> None:
    async with ringing() as gateway, connected(gateway) as socket:
        await send(socket, start())
        await gateway.answered()
        assert await order(gateway, body) == 400


async def test_who_may_give_orders() -> None:
    key = "0123456789abcdef-key"
    async with ringing(api_keys=(key,)) as gateway, connected(gateway) as socket:
        await send(socket, start())
        call = await gateway.answered()
        elsewhere = {"X-Forwarded-For": "203.0.113.7"}
        assert await order(gateway, {"action": "hangUp"}, **elsewhere) == 403
        assert await order(gateway, {"action": "hangUp"}, Authorization="Bearer wrong") == 401
        assert "hang_up" not in " ".join(call.log)
        assert await order(gateway, {"action": "hangUp"}, **elsewhere, Authorization=f"Bearer {key}") == 204
        status, _ = await post(gateway, "/phone/calls/nobody", {"action": "hangUp"})
        assert status == 404


async def test_plivo_fetches_the_number_once() -> None:
    async with accounts() as (rest, settings):
        settings |= {"plivo_auth_token": "", "plivo_auth_id": ""}
        async with ringing(**settings) as gateway:
            status, body = await post(gateway, "/phone/plivo/dial/unknown", b"")
            assert (status, '"code":"token_used"' in body) == (401, True)
            status, _ = await post(gateway, "/phone/twilio/dial/unknown", b"")
            assert status == 404
        assert rest.asked == []


async def test_plivo_is_given_the_verb_that_dials() -> None:
    async with accounts() as (rest, settings), ringing(**settings, public_url="https://gate.example.com") as gateway:
        key = {"Authorization": "Bearer 0123456789abcdef-key"}
        _, xml = await answer_of_plivo(gateway)
        path = xml.partition("wss://gate.example.com")[2].partition("<")[0]
        async with connected(gateway, path) as socket:
            await send(socket, PLIVO)
            await gateway.answered()
            assert await order(gateway, {"action": "transfer", "to": "+15559"}) == 204
        (_, _, asked) = rest.asked[0]
        url = asked["aleg_url"]
        signature = get_signature_v3(SECRET, construct_post_url(url, {}).decode(), "n0nce").decode()
        headers = {"X-Plivo-Signature-V3": signature, "X-Plivo-Signature-V3-Nonce": "n0nce"}
        path = url.removeprefix("https://gate.example.com")
        assert (await post(gateway, path, b"", **key))[0] == 403, "unsigned"
        status, body = await post(gateway, path, b"", **headers)
        assert (status, "<Dial><Number>+15559</Number></Dial>" in body) == (200, True)
        assert (await post(gateway, path, b"", **headers))[0] == 401


async def answer_of_plivo(gateway: Ringing) -> tuple[int, str]:
    fields = {"CallUUID": "C1"}
    url = "https://gate.example.com/phone/plivo/answer"
    signature = get_signature_v3(SECRET, construct_post_url(url, fields).decode(), "n0nce").decode()
    headers = {
        "X-Plivo-Signature-V3": signature,
        "X-Plivo-Signature-V3-Nonce": "n0nce",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    return await post(gateway, "/phone/plivo/answer", b"CallUUID=C1", **headers)
