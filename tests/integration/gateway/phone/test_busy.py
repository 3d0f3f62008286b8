"""A phone's call when no more can be taken: it hears so, and nobody who was promised a line loses it."""

import aiohttp
import pytest

from gateway.phone.webhook import BUSY_LINE
from tests.integration.gateway.phone.ringing import ringing, soon
from tests.integration.gateway.phone.wire_talk import (
    GUARDED,
    STREAM_SIGNATURE,
    closed_with,
    connected,
    say,
    start,
    token_of,
    webhook,
)

FIELDS = {"CallSid": "CA1", "From": "+15551", "To": "+15552", "CallStatus": "ringing", "Direction": "inbound"}
BACK = FIELDS | {"CallStatus": "in-progress"}
TELNYX = {"CallControlId": "C1", "Direction": "inbound"}
PLIVO = {"CallUUID": "C1", "Direction": "inbound"}
VONAGE = {"uuid": "C1", "from": "1", "to": "2"}


@pytest.mark.parametrize(
    ("carrier", "fields", "status", "heard"),
    [
        ("twilio", FIELDS, 200, '<Reject reason="busy"/>'),
        ("telnyx", TELNYX, 200, '<Reject reason="busy"/>'),
        ("plivo", PLIVO, 200, '<Hangup reason="busy"/>'),
        ("vonage", VONAGE, 200, BUSY_LINE),
        ("exotel", {"CallSid": "C1"}, 503, '"code":"busy"'),
    ],
)
async def test_a_new_call_hears_that_no_line_is_free(
    carrier: str, fields: dict[str, str], status: int, heard: str
) -> None:
    async with ringing() as gateway:
        gateway.fill()
        answered = await webhook(gateway, fields, carrier=carrier, signature="")
        assert (answered[0], heard in answered[1]) == (status, True), answered
        assert gateway.count("voicegate_gateway_refusals_total", code="busy") == 1
        assert not gateway.calls.calls


async def test_who_cannot_sign_is_no_caller_when_there_is_room_again() -> None:
    async with ringing(**GUARDED) as gateway:
        assert (await webhook(gateway, FIELDS, signature="AAAA"))[0] == 403
        gateway.fill()
        assert (await webhook(gateway, {"From": "1"}))[0] == 400


async def test_a_call_that_was_promised_a_line_gets_it_and_one_that_goes_on_comes_back() -> None:
    async with ringing(**GUARDED) as gateway:
        _, twiml = await webhook(gateway, FIELDS)
        gateway.fill()
        async with connected(gateway, headers=STREAM_SIGNATURE) as socket:
            await say(socket, start(token_of(twiml)))
            call = await gateway.answered()
        await soon(lambda: call.log == ["detach"])
        _, twiml = await webhook(gateway, BACK, query="?returned=1")
        async with connected(gateway, headers=STREAM_SIGNATURE) as socket:
            await say(socket, start(token_of(twiml), stream_id="MZ2"))
            await soon(lambda: call.resumed)
        assert gateway.count("voicegate_gateway_refusals_total", code="busy") == 0


async def test_a_stream_that_nobody_was_asked_about_is_closed_and_then_told_why() -> None:
    async with ringing() as gateway:
        gateway.fill()
        async with connected(gateway) as socket:
            await say(socket, start())
            assert await closed_with(socket) == 1013
        assert not gateway.calls.calls
        _, twiml = await webhook(gateway, BACK, query="?returned=1", signature="")
        assert f"<Say>{BUSY_LINE}</Say><Hangup/>" in twiml


async def test_a_line_without_a_webhook_is_refused_before_the_upgrade() -> None:
    async with ringing() as gateway:
        gateway.fill()
        with pytest.raises(aiohttp.WSServerHandshakeError) as raised:
            async with connected(gateway, "/phone/jambonz", protocols=("audio.jambonz.org",)):
                pass
        assert raised.value.status == 503
