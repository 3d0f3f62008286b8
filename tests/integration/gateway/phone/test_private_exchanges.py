"""jambonz, FreeSWITCH and Asterisk at the door: passwords, first messages, flow control, last words."""

import asyncio
import base64
import json
from typing import Any

import numpy as np
import pytest

from tests.integration.gateway.phone.ringing import ringing, say, soon, talks_and_listens, tone, voiced
from tests.integration.gateway.phone.wires import bare, refused
from voicegate.client.carriers.phone import PhoneCall

EXCHANGES = ["jambonz", "freeswitch", "asterisk"]
API_KEY = "an-api-key-of-the-gateway"
MEDIA_START = "MEDIA_START connection_id:gw channel_id:1.1 format:ulaw optimal_frame_size:160 ptime:20"


def basic(text: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}


@pytest.mark.parametrize("via", EXCHANGES)
async def test_a_call_with_a_password(via: str) -> None:
    settings: dict[str, Any] = {f"{via}_credentials": "pbx:password"}
    async with ringing(**settings) as gateway, PhoneCall(gateway.target(via, secret="pbx:password")) as phone:
        await talks_and_listens(phone, await gateway.answered())


@pytest.mark.parametrize("via", EXCHANGES)
async def test_without_the_password_nothing_comes_up(via: str) -> None:
    settings: dict[str, Any] = {f"{via}_credentials": "pbx:password"}
    async with ringing(**settings) as gateway:
        url = f"{gateway.url}/phone/{via}"
        assert await refused(url) == (401, "unauthorized")
        assert await refused(url, basic("pbx:guess")) == (403, "forged")
        assert await refused(f"{url}/guess") == (401, "unauthorized")
        assert await refused(f"{url}?token=guess", basic("pbx:password")) == (400, "token_in_query")
        assert not gateway.calls.calls


@pytest.mark.parametrize("via", EXCHANGES)
async def test_an_api_key_is_a_password_too(via: str) -> None:
    async with ringing(api_keys=(API_KEY,)) as gateway:
        async with PhoneCall(gateway.target(via, secret=f"pbx:{API_KEY}")):
            await gateway.answered()
        behind_a_proxy = {"X-Forwarded-For": "203.0.113.9"}
        async with bare(f"{gateway.url}/phone/{via}", behind_a_proxy) as wire:
            await wire.send(MEDIA_START if via == "asterisk" else '{"callSid":"c","uuid":"u"}')
            assert await wire.closed() == 1008
        assert len(gateway.calls.calls) == 1


@pytest.mark.parametrize(
    ("via", "message", "code"),
    [
        ("jambonz", "hello", 1007),
        ("jambonz", b"\0" * 320, 1008),
        ("jambonz", '{"callSid":"c","mixType":"mixed"}', 1008),
        ("jambonz", '{"callSid":"c","sampleRate":1}', 1008),
        ("jambonz", "x" * 70_000, 1009),
        ("freeswitch", '{"rate":44100}', 1008),
        ("asterisk", "hello", 1008),
        ("asterisk", "MEDIA_XON", 1008),
        ("asterisk", MEDIA_START.replace("ulaw", "opus"), 1008),
        ("asterisk", '{"event":', 1007),
        ("asterisk", b"\0" * 40_000, 1008),
    ],
)
async def test_a_wrong_first_message_closes(via: str, message: str | bytes, code: int) -> None:
    async with ringing() as gateway, bare(f"{gateway.url}/phone/{via}") as wire:
        await wire.send(message)
        assert await wire.closed() == code
        assert not gateway.calls.calls


@pytest.mark.parametrize(
    ("via", "offered", "chosen"),
    [
        ("jambonz", "audio.jambonz.org", "audio.jambonz.org"),
        ("jambonz", "audio.drachtio.org", "audio.drachtio.org"),
        ("freeswitch", "audiostream.drachtio.org", "audiostream.drachtio.org"),
        ("asterisk", "media", "media"),
        ("asterisk", "chat", None),
    ],
)
async def test_subprotocols(via: str, offered: str, chosen: str | None) -> None:
    async with ringing() as gateway, bare(f"{gateway.url}/phone/{via}", protocols=[offered]) as wire:
        assert wire.socket.protocol == chosen


async def test_mod_audio_fork() -> None:
    async with (
        ringing(freeswitch_rate_hz=16_000) as gateway,
        bare(f"{gateway.url}/phone/freeswitch", protocols=["audio.drachtio.org"]) as wire,
    ):
        await wire.send('{"uuid":"u-1","caller_id_number":"+1555","tier":"gold"}')
        call = await gateway.answered()
        assert call.request.context == {
            "provider": "freeswitch",
            "call_id": "u-1",
            "caller": "+1555",
            "tier": "gold",
        }
        await wire.send(tone(0.5, 16_000).tobytes())
        await soon(lambda: len(call.heard) >= 25)
        say(call, 2.0)
        assert np.abs(np.frombuffer(await wire.next_audio(), "<i2").astype(int)).max() > 3000
        call.interrupt()
        assert await wire.next_text() == {"type": "killAudio"}
        call.end("agent")
        assert await wire.next_text() == {"type": "disconnect"}


async def test_clips_where_jambonz_does_not_stream() -> None:
    async with ringing(jambonz_streaming=False) as gateway, bare(f"{gateway.url}/phone/jambonz") as wire:
        await wire.send('{"callSid":"c","sampleRate":8000}')
        say(await gateway.answered(), 1.0)
        clips = [await wire.next_text() for _ in range(6)]
        played = [each["data"] for each in clips if each["type"] == "playAudio"]
        assert all(len(base64.b64decode(clip["audioContent"])) <= 3_200 for clip in played)
        assert sum(voiced(np.frombuffer(base64.b64decode(clip["audioContent"]), "<i2")) for clip in played) >= 30


async def test_wav_clips_for_freeswitch() -> None:
    async with ringing(freeswitch_playback="wav") as gateway, bare(f"{gateway.url}/phone/freeswitch") as wire:
        await wire.send('{"uuid":"u"}')
        say(await gateway.answered(), 0.5)
        clip = await wire.next_text()
        assert clip["data"]["audioDataType"] == "wav"
        assert base64.b64decode(clip["data"]["audioData"]).startswith(b"RIFF")


async def test_a_stereo_caller_is_heard_on_the_first_channel() -> None:
    async with ringing() as gateway, bare(f"{gateway.url}/phone/jambonz") as wire:
        await wire.send('{"callSid":"c","sampleRate":16000,"mixType":"stereo"}')
        call = await gateway.answered()
        pairs = np.stack([tone(0.4, 16_000), np.zeros(6400, np.int16)], axis=1)
        await wire.send(pairs.tobytes())
        await soon(lambda: len(call.heard) >= 20)
        assert np.abs(call.heard[10].astype(int)).max() > 8000


async def test_asterisks_flow_control() -> None:
    async with ringing() as gateway, bare(f"{gateway.url}/phone/asterisk") as wire:
        await wire.send(b"\xff" * 320, MEDIA_START)  # audio may come before the first event
        call = await gateway.answered()
        say(call, 20.0)
        await wire.next_audio()
        await wire.send("MEDIA_XOFF")
        taken = [0]
        while len(taken) < 20 or taken[-20] != taken[-1]:  # nothing more is taken
            await asyncio.sleep(0.01)
            taken.append(call.frames_taken)
            assert len(taken) < 500, "the agent went on"
        await wire.send("MEDIA_XON")
        await soon(lambda: call.frames_taken > taken[-1])
        call.interrupt()
        while await wire.next_text() != "FLUSH_MEDIA":
            pass


@pytest.mark.parametrize("control", ["plain", "json"])
async def test_asterisk_is_answered_in_kind(control: str) -> None:
    fields = {"event": "MEDIA_START", "channel_id": "1.1", "format": "slin16", "optimal_frame_size": 640, "ptime": 20}
    settings: dict[str, Any] = {"asterisk_answer": True, "asterisk_buffering": True}
    async with ringing(**settings) as gateway, bare(f"{gateway.url}/phone/asterisk") as wire:
        await wire.send(json.dumps(fields) if control == "json" else MEDIA_START)
        call = await gateway.answered()
        said = [await wire.next_text() for _ in range(2)]
        wanted: list[object] = ["ANSWER", "START_MEDIA_BUFFERING"]
        assert said == ([{"command": name} for name in wanted] if control == "json" else wanted)
        call.end("agent")
        assert await wire.next_text() == ({"command": "HANGUP"} if control == "json" else "HANGUP")
