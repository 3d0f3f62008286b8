"""A simulated carrier's call over real HTTP and a real socket to a scripted gateway (``conftest.py``)."""

from typing import Any

import numpy as np
import pytest
from twilio.request_validator import RequestValidator

from voicegate.client.carriers.phone import PhoneCall
from voicegate.client.carriers.target import PhoneTarget
from voicegate.client.connection import CallFailed, GatewayUnreachable

SECRET = "0123456789abcdef0123456789abcdef"
CLIP = (6000 * np.sin(np.arange(4_000) / 3)).astype(np.int16)


def target(url: str, **fields: Any) -> PhoneTarget:
    return PhoneTarget("twilio", url, secret=SECRET, network_ms=5.0, **fields)


async def test_a_whole_call(bridge: Any) -> None:
    async with PhoneCall(target(bridge.url)) as call:
        await call.greeting_over()
        greeted = call.tape.agent_end
        utterance = await call.speak(CLIP)
        assert await call.reply_over(utterance, timeout_s=10)
        call.press("1#")
        await call.wait_s(0.1)
        await call.hang_up()
    heard = call.tape.agent()
    assert np.count_nonzero(heard[:greeted]) == 5 * 160
    assert np.count_nonzero(heard[utterance.end :]) == 10 * 160
    assert CLIP.tobytes() in call.tape.caller().tobytes()
    assert call.failure == "the caller hung up"
    said = [each["event"] for each in bridge.texts]
    assert (said[:2], said[-1]) == (["connected", "start"], "stop")
    assert [each["mark"]["name"] for each in bridge.texts if each["event"] == "mark"] == ["after 5", "after 10"]
    assert [each["dtmf"]["digit"] for each in bridge.texts if each["event"] == "dtmf"] == ["1", "#"]
    assert bridge.texts[1]["start"]["customParameters"] == {"token": "once"}


async def test_a_mark_comes_back_after_the_audio_before_it(bridge: Any) -> None:
    async with PhoneCall(target(bridge.url)) as call:
        await call.until(lambda: any(each["event"] == "mark" for each in bridge.texts), 5.0)
        mark = next(n for n, each in enumerate(bridge.texts) if each["event"] == "mark")
        media = sum(each["event"] == "media" for each in bridge.texts[:mark])
    assert media >= 5, "five frames were to be played first"


async def test_what_is_signed_is_what_the_operator_registered(bridge: Any) -> None:
    bridge.answer = (
        '<Response><Connect><Stream url="wss://voice.example.com/phone/twilio?lost=1"/></Connect></Response>'
    )
    async with PhoneCall(target(bridge.url, public_url="https://voice.example.com")) as call:
        await call.hang_up()
    validator = RequestValidator(SECRET)
    [(path, form, headers)] = bridge.asked
    assert form["CallSid"] == call.facts.call_id
    assert validator.validate(f"https://voice.example.com{path}", form, headers["X-Twilio-Signature"])
    [upgrade] = bridge.upgrades
    assert validator.validate("wss://voice.example.com/phone/twilio", {}, upgrade["X-Twilio-Signature"])


@pytest.mark.parametrize("lost", ["by the gateway", "by the network"])
async def test_a_lost_stream_goes_where_the_action_says(bridge: Any, lost: str) -> None:
    bridge.after = '<Response><Connect><Stream url="{url}/phone/twilio"/></Connect></Response>'
    bridge.closes_after = 3 if lost == "by the gateway" else None
    async with PhoneCall(target(bridge.url)) as call:
        if lost == "by the network":
            await call.wait_s(0.1)
            call.cut()
        assert await call.until(lambda: call.streams == 2, 5.0)
        assert 0.0 < call.longest_away_s < 5.0
        utterance = await call.speak(CLIP)
        assert await call.reply_over(utterance, timeout_s=10)
        await call.hang_up()
    assert [form["CallSid"] for _, form, _ in bridge.asked] == [call.facts.call_id] * 2
    assert np.count_nonzero(call.tape.agent(utterance.end)) >= 10 * 160


async def test_the_action_may_end_the_call(bridge: Any) -> None:
    bridge.closes_after = 3
    async with PhoneCall(target(bridge.url)) as call:
        assert await call.until(lambda: call.failure is not None, 5.0)
        assert "Hangup" in str(call.failure)
        with pytest.raises(CallFailed, match="Hangup"):
            await call.until(lambda: False, 1.0)


async def test_refusals_are_told(bridge: Any) -> None:
    for status, words in ((403, "signature"), (404, "switched on"), (503, "full"), (418, "418")):
        bridge.status = status
        with pytest.raises(CallFailed, match=words):
            async with PhoneCall(target(bridge.url)):
                pass
    bridge.status = 200
    for answer, words in (
        ("<Response/>", "nothing to do"),
        ("what?", "not understand"),
        ('<Response><Connect><Stream url="http://x/y"/></Connect></Response>', "no address of a WebSocket"),
        ('<Response><Connect><Stream url="{url}/nowhere"/></Connect></Response>', "no such address"),
    ):
        bridge.answer = answer
        with pytest.raises(CallFailed, match=words):
            async with PhoneCall(target(bridge.url)):
                pass


@pytest.mark.parametrize("via", ["twilio", "genesys", "audiosocket"])
async def test_nobody_answers(via: Any, unused_tcp_port: int) -> None:
    with pytest.raises(GatewayUnreachable, match="voicegate serve"):
        async with PhoneCall(PhoneTarget(via, f"ws://127.0.0.1:{unused_tcp_port}")):
            pass
