"""A phone call survives the process: Twilio asks again, and the conversation goes on without a second greeting."""

import asyncio
import base64
import signal
from typing import Any

from tests.e2e.conftest import Start
from tests.e2e.served import Served
from tests.integration.gateway.phone.wire_talk import (
    HOME,
    SECRET,
    STREAM_SIGNATURE,
    connected,
    say,
    token_of,
    webhook,
)
from tests.integration.gateway.phone.wire_talk import (
    start as start_message,
)

FIELDS = {"CallSid": "CA1", "From": "+15551", "To": "+15552", "CallStatus": "ringing", "Direction": "inbound"}


def events(gateway: Served) -> list[Any]:
    """Of the only session."""
    with gateway.redis() as redis:
        (key,) = {each.split(b":")[2] for each in redis.keys("voicegate:session:*")}
    return list(gateway.events(key.decode()))


async def audio(socket: Any, seconds: float) -> None:
    """Read until so much of the agent was sent; marks come back at once."""
    samples = 0
    async with asyncio.timeout(20):
        while samples < seconds * 8_000:
            message = await socket.receive_json()
            if message["event"] == "mark":
                await say(socket, message)
            elif message["event"] == "media":
                samples += len(base64.b64decode(message["media"]["payload"]))


async def test_another_process_goes_on_with_a_phone_call(start: Start) -> None:
    gateway = start(VOICEGATE_TWILIO_AUTH_TOKEN=SECRET, VOICEGATE_PUBLIC_URL=HOME)
    _, twiml = await webhook(gateway, FIELDS)
    async with connected(gateway, headers=STREAM_SIGNATURE) as socket:
        await say(socket, start_message(token_of(twiml)))
        await audio(socket, 1.2)
        gateway.stop(signal.SIGKILL)
    gateway.start()
    back = FIELDS | {"CallStatus": "in-progress"}
    status, twiml = await webhook(gateway, back, query="?returned=1")
    assert (status, "<Connect" in twiml) == (200, True)
    async with connected(gateway, headers=STREAM_SIGNATURE) as socket:
        await say(socket, start_message(token_of(twiml), stream_id="MZ2"))
        await audio(socket, 1.0)
        await say(socket, {"event": "stop", "streamSid": "MZ2"})
    async with asyncio.timeout(10):
        while events(gateway)[-1].__class__.__name__ != "SessionEnded":
            await asyncio.sleep(0.1)
    found = events(gateway)
    began = [event for event in found if event.__class__.__name__ == "SessionStarted"]
    assert [(event.resumed, event.transport) for event in began] == [(False, "twilio"), (True, "twilio")]
    kinds = [event.kind for event in found if event.__class__.__name__ == "ReplyStarted"]
    assert kinds == ["greeting", "resume"], "it greets once, and picks up where it was cut"
    assert [event.seq for event in found] == list(range(1, len(found) + 1))
    assert "Traceback" not in gateway.log
