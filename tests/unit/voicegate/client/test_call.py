"""A call over a real socket to a scripted gateway (``conftest.py``)."""

import socket
from typing import Any

import numpy as np
import pytest

from voicegate.client.call import CallClient
from voicegate.client.connection import CallFailed, CallTarget, GatewayUnreachable
from voicegate.client.record import Line

CLIP = (np.arange(16_000) % 2000 + 1).astype(np.int16)


async def test_a_whole_exchange(scripted: Any) -> None:
    sent = bytearray()
    async with CallClient(CallTarget("s", url=scripted.url, jitter_ms=0)) as call:
        await call.greeting_over()
        assert call.tape.agent_end > 0
        utterance = await call.speak(CLIP)
        sent += scripted.heard
        assert await call.reply_over(utterance, timeout_s=5)
        await call.hang_up()
    assert call.record.transcript() == [
        Line("agent", "Hello."),
        Line("caller", "Hi there."),
        Line("agent", "Good day."),
    ]
    assert CLIP.tobytes() in call.tape.caller().tobytes()
    assert call.tape.caller(utterance.end - CLIP.size)[: CLIP.size].tolist() == CLIP.tolist()
    assert sum(samples.size for _, samples in call.agent_packets) == 12 * 320
    assert call.record.ended == "client"
    assert scripted.texts[0]["input"] == {"encoding": "pcm16", "rate": 16_000}
    assert scripted.texts[-1] == {"type": "session.end"}


async def test_what_is_said_arrives_whole_and_in_real_time(scripted: Any) -> None:
    scripted.answers = False
    async with CallClient(CallTarget("s", url=scripted.url)) as call:
        before = call.now_s
        await call.speak(CLIP)
        took_s = call.now_s - before
        await call.until(lambda: CLIP.tobytes() in bytes(scripted.heard), 1.0)
        assert CLIP.tobytes() in bytes(scripted.heard)
        assert 0.96 <= took_s <= 1.5
        assert len(call.lateness_s) == scripted.frames or abs(len(call.lateness_s) - scripted.frames) <= 1


async def test_a_call_that_breaks_says_so(scripted: Any) -> None:
    scripted.closes_after_frames = 5
    async with CallClient(CallTarget("s", url=scripted.url)) as call:
        with pytest.raises(CallFailed, match="1011"):
            await call.speak(CLIP)


async def test_nobody_listens() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(GatewayUnreachable, match="voicegate serve"):
        async with CallClient(CallTarget("s", url=f"ws://127.0.0.1:{port}")):
            pass


async def test_another_server_is_no_gateway(scripted: Any) -> None:
    with pytest.raises(CallFailed, match="is it a voicegate gateway"):
        async with CallClient(CallTarget("a/b", url=scripted.url)):
            pass


def test_the_address_of_a_page_is_taken_too() -> None:
    assert CallTarget("id", url="https://example.com/").address == "wss://example.com/voice/id"
    assert CallTarget("id").address == "ws://127.0.0.1:8000/voice/id"
