"""What no carrier sends: the stream ends in order, or goes on; another call is not disturbed."""

import json
from typing import Any

import pytest

from tests.integration.gateway.phone.ringing import ringing, soon
from tests.integration.gateway.phone.wire_talk import closed_with, connected, media, say, start

LIVE = [start()]


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        (["not json"], 1007),
        (["[]"], 1007),
        ([json.dumps(media(bytes(160), 0))], 1008),
        ([json.dumps({"event": "start", "start": {}})], 1008),
        ([json.dumps(start()), json.dumps(start())], 1008),
        ([json.dumps(start()), json.dumps(start(call_id="CA2", stream_id="MZ2"))], 1008),
        ([json.dumps(start()), "{" * 5_000], 1007),
        ([json.dumps(start()), "x" * 70_000], 1009),
    ],
)
async def test_a_stream_ends_in_order(messages: list[str], code: int) -> None:
    async with ringing() as gateway, connected(gateway) as bystander:
        await say(bystander, start(call_id="CA9", stream_id="MZ9"))
        well = await gateway.answered()
        async with connected(gateway) as socket:
            for message in messages:
                await socket.send_str(message)
            assert await closed_with(socket) == code
        before = len(well.heard)
        await say(bystander, media(bytes(1600), 0, "MZ9"))
        await soon(lambda: len(well.heard) >= before + 9)
        assert "hang_up" not in " ".join(well.log)


@pytest.mark.parametrize(
    "message",
    [
        {"event": "media", "streamSid": "MZ1", "media": {"payload": "!"}},
        {"event": "media", "streamSid": "other", "media": {"payload": "AAAA"}},
        {"event": "dtmf", "streamSid": "MZ1", "dtmf": {"digit": "Z"}},
        {"event": "mark", "streamSid": "MZ1", "mark": 7},
        {"event": 7, "streamSid": "MZ1"},
        {},
    ],
)
async def test_a_stream_goes_on(message: dict[str, Any]) -> None:
    async with ringing() as gateway, connected(gateway) as socket:
        await say(socket, start())
        call = await gateway.answered()
        await say(socket, message)
        await socket.send_bytes(b"\0\1\2")
        before = len(call.heard)
        await say(socket, media(bytes(1600), 0))
        await soon(lambda: len(call.heard) >= before + 9)
        assert gateway.count("voicegate_phone_ignored_total", provider="twilio", code="binary") == 1


async def test_audio_faster_than_the_limit_ends_the_stream() -> None:
    async with ringing() as gateway, connected(gateway) as socket:
        await say(socket, start())
        await gateway.answered()
        for index in range(200):
            await say(socket, media(bytes(8000), index * 5_000))
        assert await closed_with(socket) == 4429
