"""AudioHook at the door: signatures, numbers, probes, and last words, on a real socket."""

import asyncio
import base64
import json
import time
import uuid
from typing import Any

import pytest

from tests.integration.gateway.phone.ringing import Ringing, ringing, soon, talks_and_listens
from tests.integration.gateway.phone.wires import Bare, bare, refused
from voicegate.client.carriers import signatures
from voicegate.client.carriers.phone import PhoneCall
from voicegate.client.connection import CallFailed
from voicegate.kernel.errors import RefusedCall

KEY, SECRET = "key-1", base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
ORGANIZATION = "d7934305-0972-4844-938e-9060eef73d05"
NOBODY = "00000000-0000-0000-0000-000000000000"
SETTINGS: dict[str, Any] = {"genesys_keys": f"{KEY}:{SECRET}"}


def signed(url: str, *, secret: str = SECRET, age_s: int = 0) -> dict[str, str]:
    """Headers of an upgrade to ``url``."""
    headers = {
        "audiohook-organization-id": ORGANIZATION,
        "audiohook-session-id": str(uuid.uuid4()),
        "audiohook-correlation-id": str(uuid.uuid4()),
        "x-api-key": KEY,
    }
    created = int(time.time()) - age_s
    proof = signatures.genesys(secret, headers, url, key=KEY, nonce=uuid.uuid4().hex, created=created)
    return {**headers, **proof}


class Client:
    """Counts its messages, unless it is told to miscount."""

    def __init__(self, wire: Bare, session_id: str) -> None:
        self.wire = wire
        self.session_id = session_id
        self.seq = self.heard = 0

    async def say(self, kind: str, parameters: object = None, **changed: object) -> None:
        self.seq += 1
        envelope = {
            "version": "2",
            "id": self.session_id,
            "type": kind,
            "seq": self.seq,
            "serverseq": self.heard,
            "position": "PT0S",
            "parameters": parameters or {},
        }
        await self.wire.send(json.dumps({**envelope, **changed}))

    async def open(self, conversation_id: str = "", **changed: object) -> None:
        parameters = {
            "organizationId": ORGANIZATION,
            "conversationId": conversation_id or str(uuid.uuid4()),
            "participant": {"id": str(uuid.uuid4()), "ani": "+1555", "aniName": "", "dnis": "+1556"},
            "media": [{"type": "audio", "format": "PCMU", "channels": ["external"], "rate": 8000}],
        }
        await self.say("open", {**parameters, **changed})

    async def hear(self, kind: str) -> dict[str, Any]:
        message = await self.wire.next_text()
        self.heard += 1
        assert (message["type"], message["seq"]) == (kind, self.heard)
        assert isinstance(message, dict)
        return message


async def test_a_signed_call() -> None:
    async with (
        ringing(**SETTINGS) as gateway,
        PhoneCall(gateway.target("genesys", key=KEY, secret=SECRET)) as phone,
    ):
        await talks_and_listens(phone, await gateway.answered())


async def test_the_public_address_is_what_is_signed() -> None:
    public = "https://voice.example.com"
    async with ringing(**SETTINGS, public_url=public) as gateway:
        async with PhoneCall(gateway.target("genesys", key=KEY, secret=SECRET, public_url=public)):
            await gateway.answered()
        with pytest.raises(CallFailed, match="403"):
            async with PhoneCall(gateway.target("genesys", key=KEY, secret=SECRET)):
                pass


async def test_forgeries_never_come_up() -> None:
    async with ringing(**SETTINGS) as gateway:
        url = f"{gateway.url}/phone/genesys"
        bare_headers = {name: value for name, value in signed(url).items() if not name.startswith("Signature")}
        assert await refused(url, bare_headers) == (401, "unauthorized")
        assert await refused(url) == (401, "unauthorized")
        wrong = base64.b64encode(b"another").decode()
        for headers in (
            signed(url, secret=wrong),
            signed(url, age_s=14),
            signed(url, age_s=-5),
            signed(url + "/elsewhere"),
            {**signed(url), "audiohook-session-id": str(uuid.uuid4())},
            {**signed(url), "x-api-key": "key-2"},
            {**signed(url), "Signature": "sig1=:AAAA:"},
            {**signed(url), "Signature-Input": "nonsense"},
        ):
            assert await refused(url, headers) == (403, "forged")
        assert not gateway.calls.calls


async def test_a_signature_opens_once() -> None:
    async with ringing(**SETTINGS) as gateway:
        url = f"{gateway.url}/phone/genesys"
        headers = signed(url)
        async with bare(url, headers) as wire:
            await Client(wire, headers["audiohook-session-id"]).open()
            await gateway.answered()
        assert await refused(url, headers) == (401, "token_used")
        assert len(gateway.calls.calls) == 1


async def opened(gateway: Ringing, wire: Bare, session_id: str) -> Client:
    client = Client(wire, session_id)
    await client.open()
    await client.hear("opened")
    return client


async def test_a_gap_in_the_numbers_is_told_and_ends_the_session() -> None:
    async with ringing() as gateway, bare(f"{gateway.url}/phone/genesys") as wire:
        client = await opened(gateway, wire, str(uuid.uuid4()))
        client.seq += 1
        await client.say("ping")
        message = await client.hear("disconnect")
        assert message["parameters"]["reason"] == "error"
        await client.say("close", {"reason": "disconnect"})
        assert await wire.closed() == 1008
        call = await gateway.answered()
        await soon(lambda: any(entry.startswith("hang_up") for entry in call.log))
        labels = {"provider": "genesys", "code": "bad_seq"}
        assert gateway.count("voicegate_phone_violations_total", **labels) == 1


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("no JSON", 1007),
        ('{"version":"2"}', 1008),
        ("x" * 70_000, 1008),
        (b"\xff" * 160, 1008),
    ],
)
async def test_what_is_no_message_is_told_and_ends_the_session(message: str | bytes, code: int) -> None:
    async with ringing() as gateway, bare(f"{gateway.url}/phone/genesys") as wire:
        await wire.send(message)
        (last,) = await wire.texts_until_closed()
        assert (last["type"], last["parameters"]["reason"]) == ("disconnect", "error")
        assert wire.socket.close_code == code
        assert not gateway.calls.calls


async def test_a_message_that_is_too_long_is_not_read() -> None:
    async with ringing() as gateway, bare(f"{gateway.url}/phone/genesys") as wire:
        await wire.send("x" * 300_000)
        assert await wire.closed() == 1009


async def test_another_session_or_organization_is_unauthorized() -> None:
    async with ringing(**SETTINGS) as gateway:
        url = f"{gateway.url}/phone/genesys"
        for changed in ({"organizationId": str(uuid.uuid4())}, {}):
            headers = signed(url)
            async with bare(url, headers) as wire:
                session_id = headers["audiohook-session-id"] if changed else str(uuid.uuid4())
                await Client(wire, session_id).open(**changed)
                assert (await wire.next_text())["type"] == "disconnect"
                assert await wire.closed() == 1008
        assert not gateway.calls.calls


async def test_a_probe_begins_no_call() -> None:
    async with ringing() as gateway, bare(f"{gateway.url}/phone/genesys") as wire:
        client = Client(wire, str(uuid.uuid4()))
        await client.open(NOBODY)
        await client.hear("opened")
        await client.say("ping")
        await client.hear("pong")
        await client.say("close", {"reason": "end"})
        await client.hear("closed")
        assert await wire.closed() == 1000
        assert not gateway.calls.calls


async def test_the_agents_goodbye_is_answered_by_close_and_closed() -> None:
    async with ringing() as gateway, bare(f"{gateway.url}/phone/genesys") as wire:
        client = await opened(gateway, wire, str(uuid.uuid4()))
        (await gateway.answered()).end("agent")
        message = await client.hear("disconnect")
        assert message["parameters"]["reason"] == "completed"
        await client.say("close", {"reason": "disconnect"})
        await client.hear("closed")
        assert await wire.closed() == 1000


async def test_a_full_gateway_says_so() -> None:
    async with ringing() as gateway, bare(f"{gateway.url}/phone/genesys") as wire:
        gateway.calls.fail_with = RefusedCall("busy", "full")
        client = Client(wire, str(uuid.uuid4()))
        await client.open()
        assert (await client.hear("disconnect"))["parameters"] == {"reason": "error", "info": "busy"}
        assert await wire.closed() == 1013


async def test_reconnect_goes_on_with_the_same_conversation() -> None:
    async with ringing(genesys_keys=f"{KEY}:", genesys_unsigned=True) as gateway:
        url, conversation = f"{gateway.url}/phone/genesys", str(uuid.uuid4())
        for reason in ("reconnect", "end"):
            session_id = str(uuid.uuid4())
            headers = {
                "audiohook-organization-id": ORGANIZATION,
                "audiohook-session-id": session_id,
                "x-api-key": KEY,
            }
            async with bare(url, headers) as wire:
                client = Client(wire, session_id)
                await client.open(conversation)
                await client.hear("opened")
                await client.say("close", {"reason": reason})
                await client.hear("closed")
                assert await wire.closed() == 1000
        (call,) = gateway.calls.calls.values()
        assert (call.resumed, call.log) == (True, ["detach", "hang_up caller"])


async def test_open_has_a_deadline() -> None:
    async with ringing() as gateway, bare(f"{gateway.url}/phone/genesys") as wire:
        started = asyncio.get_running_loop().time()
        assert await wire.closed() is not None
        assert 4.5 <= asyncio.get_running_loop().time() - started <= 9.0
        assert not gateway.calls.calls
