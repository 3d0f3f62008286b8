"""A whole call on Twilio, Telnyx, Plivo and Exotel: both sides heard, keys, a barge-in, and the end, by either side."""

import asyncio
import base64
import io
from typing import Any

import numpy as np
import pytest

from audiocodecs.registry import open_decoder, open_encoder
from tests.integration.gateway.phone.ringing import (
    is_interrupted,
    ringing,
    say,
    soon,
    talks_and_listens,
    tone,
)
from tests.integration.gateway.phone.wire_talk import closed_with, connected, media, start
from tests.integration.gateway.phone.wire_talk import say as send
from voicegate.client.carriers.phone import PhoneCall

ALL = ["twilio", "telnyx", "plivo", "exotel"]


@pytest.mark.parametrize("via", ALL)
async def test_a_whole_call(via: str) -> None:
    async with ringing() as gateway, PhoneCall(gateway.target(via)) as phone:
        call = await gateway.answered()
        assert (call.request.transport, call.request.confirms) == (via, True)
        await talks_and_listens(phone, call)
        await is_interrupted(phone, call, within_s=0.4)
        phone.press("1#")
        await soon(lambda: [entry for entry in call.log if entry.startswith("key")] == ["key 1", "key #"])
        assert not phone.dropped, "the carrier could not use what was sent"
        await phone.hang_up()
        await soon(lambda: call.log[-1:] == ["hang_up caller"])


@pytest.mark.parametrize("via", ALL)
async def test_the_agent_hangs_up(via: str) -> None:
    async with ringing() as gateway, PhoneCall(gateway.target(via)) as phone:
        call = await gateway.answered()
        say(call, 0.2)
        await soon(lambda: phone.tape.agent_end > 0)
        call.end("agent")
        await phone.until(lambda: phone.failure is not None, 10.0, broken=False)


async def test_the_webhook_tells_who_called_and_who_answers() -> None:
    async with ringing(phone_numbers="+15550000002=sales,*=desk") as gateway:
        async with PhoneCall(gateway.target("twilio")):
            call = await gateway.answered()
        assert call.request.agent == "sales"
        facts = {name: call.request.context[name] for name in ("provider", "caller", "called", "direction")}
        assert facts == {
            "provider": "twilio",
            "caller": "+15550000001",
            "called": "+15550000002",
            "direction": "inbound",
        }
        assert "token" not in call.request.context


async def test_one_address_takes_them_all() -> None:
    async with ringing() as gateway:
        for count, path in enumerate(("/phone", "/phone/auto"), 1):
            async with connected(gateway, path) as socket:
                await send(socket, {"event": "connected"})
                await send(socket, start())
                call = await gateway.answered(count)
                assert call.request.transport == "twilio"


async def test_gaps_and_silence_on_the_line_reach_the_ear_as_silence() -> None:
    loud = bytes([0x00]) * 160
    async with ringing() as gateway, connected(gateway) as socket:
        await send(socket, start())
        call = await gateway.answered()
        call.heard.clear()
        await send(socket, media(loud, 0))
        await send(socket, media(loud, 300))
        await soon(lambda: len(call.heard) >= 16)
        peaks = [int(np.abs(frame.astype(np.int32)).max()) for frame in call.heard[:16]]
        assert sum(peak > 5000 for peak in peaks) <= 4
        assert peaks[4:12] == [0] * 8, "280 ms were missing"
        before = len(call.heard)
        await asyncio.sleep(0.6)
        assert len(call.heard) - before >= 20, "a line that stops sending is silent, not gone"


async def test_marks_prove_what_was_heard_and_a_void_one_proves_nothing() -> None:
    async with ringing() as gateway, connected(gateway) as socket:
        await send(socket, start())
        call = await gateway.answered()
        say(call, 2.0)
        names: list[str] = []
        sent_bytes = 0
        async with asyncio.timeout(10):
            while len(names) < 2:
                message = await socket.receive_json()
                if message["event"] == "mark":
                    names.append(message["mark"]["name"])
                else:
                    sent_bytes += len(message["media"]["payload"]) * 3 // 4
        await asyncio.sleep(0.5)
        assert call.played_samples <= sent_bytes // 2, "the first mark has not come back: no more than before it"
        call.interrupt()
        while (message := await socket.receive_json())["event"] != "clear":
            pass
        settled = call.played_samples
        for name in [*names, "m999"]:
            await send(socket, {"event": "mark", "streamSid": "MZ1", "mark": {"name": name}})
        await asyncio.sleep(0.3)
        assert call.played_samples == settled
        name = "voicegate_phone_ignored_total"
        assert gateway.count(name, provider="twilio", code="void_mark") == 3


@pytest.mark.parametrize(
    ("via", "form", "settings"),
    [
        ("telnyx", "PCMA", {"telnyx_codec": "PCMA"}),
        ("telnyx", "L16/16000", {"telnyx_codec": "L16", "telnyx_rate_hz": 16_000}),
        ("plivo", "", {"plivo_content_type": "audio/x-l16;rate=16000"}),
        ("exotel", "16000", {}),
    ],
)
async def test_other_formats(via: str, form: str, settings: dict[str, Any]) -> None:
    async with ringing(**settings) as gateway, PhoneCall(gateway.target(via, format=form)) as phone:
        call = await gateway.answered()
        await talks_and_listens(phone, call)
        assert not phone.dropped


async def test_a_token_in_a_path_is_in_no_log_line(logged: io.StringIO) -> None:
    async with ringing() as gateway, connected(gateway, "/phone/plivo/s3cret-t0ken") as socket:
        await send(socket, {"event": "news"})
        await closed_with(socket)
    assert "phone stream closed" in logged.getvalue()
    assert "/phone/plivo/<token>" in logged.getvalue()
    assert "s3cret-t0ken" not in logged.getvalue()


async def test_opus_where_the_leg_has_it() -> None:
    form = {"encoding": "OPUS", "sample_rate": 16_000, "channels": 1}
    start_opus = {"event": "start", "stream_id": "S1", "start": {"call_control_id": "C1", "media_format": form}}
    settings: dict[str, Any] = {"telnyx_codec": "OPUS", "telnyx_rate_hz": 16_000}
    encoder = await asyncio.to_thread(
        open_encoder, "opus", 16_000
    )  # looks for the library, as the gateway's start does
    async with ringing(**settings) as gateway, connected(gateway, "/phone/telnyx") as socket:
        await send(socket, start_opus)
        call = await gateway.answered()
        for number, packet in enumerate(encoder.push(tone(0.6, 16_000)), 1):
            body = {"track": "inbound", "chunk": str(number), "payload": base64.b64encode(packet).decode()}
            await send(socket, {"event": "media", "stream_id": "S1", "media": body})
        await soon(lambda: sum(int(np.abs(frame.astype(np.int32)).max()) > 3000 for frame in call.heard) >= 25)
        say(call, 0.5)
        decoder, heard = open_decoder("opus", 16_000), 0
        async with asyncio.timeout(10):
            while heard < 0.45 * 16_000:
                message = await socket.receive_json()
                if message["event"] == "media":
                    samples = decoder.push(base64.b64decode(message["media"]["payload"]))
                    assert samples.size == 320
                    heard += samples.size
