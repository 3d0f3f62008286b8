"""Vendors that fail, in every way they do, behind the whole gateway: the caller hears of it and the call goes on."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.e2e.here import Here, serving
from tests.e2e.scenes import Scenes, tell
from tests.e2e.voices import spoken
from tests.vendors.elevenlabs import ElevenLabsServer
from tests.vendors.openai_audio import OpenAIAudioServer, Switches
from tests.vendors.openai_chat import Behaviour, ChatStandIn
from tests.vendors.openai_speech import OpenAISpeechServer
from tests.vendors.speech import Trouble
from voicegate.client.call import CallClient
from voicegate.client.connection import CallTarget
from voicegate.client.voiced import audible
from voicegate.kernel.events import (
    Failure,
    Notice,
    ReplyFinished,
    ReplyHeard,
    ReplyInterrupted,
    ReplyStarted,
    TurnCommitted,
)
from voicegate.kernel.ids import new_session_id

DEAD_AIR_S = 6.5
"""The longest silence while an answer is owed: the turn machine's 5 s between two fillers, and what a voice needs."""
HOURS = "What are your opening hours?"
KEYS: dict[str, Any] = {"openai_api_key": "key", "elevenlabs_api_key": "key"}
TYPED = {"vad": "webrtc", "stt": "openai"}
"""For calls in which the caller only types: nothing to load."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]  # the first one waits for all of them
scenes: Scenes[[Path]] = Scenes(at_once=6)  # most of them wait for a vendor that does not answer


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, BaseException | None]:
    return scenes.play(tmp_path_factory.mktemp("failures"))


@asynccontextmanager
async def call_to(folder: Path, **settings: str) -> AsyncIterator[tuple[CallClient, Here]]:
    """A call to a gateway of its own."""
    async with (
        serving(folder / new_session_id()[:8], **KEYS | settings) as here,
        CallClient(CallTarget(new_session_id(), url=here.url, greeting=False)) as call,
    ):
        yield call, here


async def ask(call: CallClient, text: str) -> str:
    """Type ``text``; the whole answer, once it was heard."""
    turns = len(call.record.of(TurnCommitted))
    await call.command("text", text=text)
    assert await call.until(lambda: len(call.record.of(TurnCommitted)) > turns, 5)
    turn = call.record.of(TurnCommitted)[-1].turn

    def answers() -> list[str]:
        return [each.text for each in call.record.of(ReplyFinished) if each.turn == turn]

    assert await call.until(lambda: bool(answers()), 20), call.record.received[-10:]
    return answers()[-1]


async def apology(call: CallClient, kind: str = "apology") -> list[Failure]:
    """Wait until the caller has heard the apology; what the events say is the reason."""

    def over() -> bool:
        turns = {reply.turn for reply in call.record.of(ReplyStarted) if reply.kind == kind}
        return any(reply.turn in turns for reply in call.record.of(ReplyFinished))

    assert await call.until(over, 30), call.record.received[-10:]
    return call.record.of(Failure)


def dead_air_s(call: CallClient) -> float:
    """The longest silence of the agent from the first turn of the caller to the end of what the agent said."""
    agent = audible(call.tape.agent(call.record.positions(TurnCommitted)[0]))
    sounding = np.flatnonzero(agent)
    assert sounding.size
    return float(np.diff(sounding, prepend=0).max()) / call.rate_hz


# --- the agent ---


@asynccontextmanager
async def _typed_to(folder: Path, vendor: ChatStandIn) -> AsyncIterator[tuple[CallClient, Here]]:
    async with call_to(folder, **TYPED, agent="openai", openai_base_url=vendor.url) as both:
        yield both


async def agent_fails(folder: Path, behaviour: Behaviour, code: str) -> None:
    async with (
        ChatStandIn(behaviour) as vendor,
        _typed_to(folder, vendor) as (call, _),
    ):
        await call.command("text", text="This will fail.")
        failures = await apology(call)
        vendor.behaviour = Behaviour()
        answer = await ask(call, "Better now?")
        assert [failure.code for failure in failures] == [code]
        assert failures[0].stage
        assert "You said Better now?" in answer
        assert dead_air_s(call) <= DEAD_AIR_S
        await call.hang_up()


@scenes.add
async def agent_answers_500(folder: Path) -> None:
    await agent_fails(folder, Behaviour(status=500), "provider_failed")


@scenes.add
async def agent_answers_401(folder: Path) -> None:
    await agent_fails(folder, Behaviour(status=401), "provider_refused")


@scenes.add
async def agent_never_begins(folder: Path) -> None:
    await agent_fails(folder, Behaviour(stall_after=0), "provider_timeout")


@scenes.add
async def agent_stalls_in_mid_sentence(folder: Path) -> None:
    await agent_fails(folder, Behaviour(stall_after=3), "provider_timeout")


@scenes.add
async def agent_is_cut_in_mid_sentence(folder: Path) -> None:
    await agent_fails(folder, Behaviour(cut_after=3), "provider_failed")


@scenes.add
async def agent_is_only_slow(folder: Path) -> None:
    """Nothing fails, and nobody waits in silence: a filler, then the answer."""
    slow = Behaviour(first_token_s=4.0)
    async with ChatStandIn(slow) as vendor, _typed_to(folder, vendor) as (call, _):
        answer = await ask(call, "Take your time.")
        assert answer.startswith("One moment")
        assert "You said Take your time." in answer
        assert call.record.of(Failure) == []
        assert dead_air_s(call) <= 3.5, "less than the agent takes"


@scenes.add
async def agent_is_told_what_was_heard(folder: Path) -> None:
    """After an interruption the history has the words that were heard, and none of the others."""
    words = " ".join(f"word{n}" for n in range(60))
    async with ChatStandIn() as vendor, _typed_to(folder, vendor) as (call, here):
        await call.command("text", text=words)
        assert await call.until(lambda: any(len(each.text.split()) > 5 for each in call.record.of(ReplyHeard)), 15)
        await call.command("reply.cancel")
        assert await call.until(lambda: bool(call.record.of(ReplyInterrupted)), 5)
        heard = call.record.of(ReplyInterrupted)[0].heard
        await call.command("text", text="And now?")
        assert await call.until(lambda: len(vendor.requests) == 2, 5)
        messages = [(each["role"], _plain(each["content"])) for each in vendor.requests[1]["messages"]]
        spoken_before = [text for role, text in messages if role == "assistant"]
        assert len(spoken_before) == 1
        assert spoken_before[0].removesuffix(" —") == heard
        assert [text for role, text in messages if role == "user"] == [words, "And now?"]
        await call.hang_up()
        assert await here.events(call.target.session_id) == [each.event for each in call.record.received]


def _plain(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


# --- speech to text ---


@asynccontextmanager
async def _spoken_to(folder: Path, vendor: OpenAIAudioServer) -> AsyncIterator[CallClient]:
    async with call_to(folder, stt="openai", openai_base_url=vendor.base_url) as (call, _):
        yield call


async def ears_fail(folder: Path, broken: Switches) -> None:
    async with (
        OpenAIAudioServer() as vendor,
        call_to(folder, stt="openai", openai_base_url=vendor.base_url) as (call, _),
    ):
        vendor.switches = broken
        await call.speak(await spoken(HOURS))
        failures = await apology(call, "unheard")
        vendor.switches = replace(Switches(), answer=lambda heard: HOURS)
        asked = await call.speak(await spoken(HOURS))
        assert await call.reply_over(asked, timeout_s=20)
        assert "Monday" in call.record.of(ReplyFinished)[-1].text
        if not broken.stall:  # there the gateway gives up waiting before the request does
            assert {failure.stage for failure in failures} == {"stt"}
        assert _until_heard_s(call) <= DEAD_AIR_S
        await call.hang_up()


def _until_heard_s(call: CallClient) -> float:
    """From the end of the caller's first words to the agent's first."""
    first = int(np.flatnonzero(audible(call.tape.agent()))[0])
    said = np.flatnonzero(np.abs(call.tape.caller()[:first]) > 300)
    return float(first - said[-1]) / call.rate_hz


@scenes.add
async def ears_answer_500(folder: Path) -> None:
    await ears_fail(folder, Switches(status=500))


@scenes.add
async def ears_answer_401(folder: Path) -> None:
    await ears_fail(folder, Switches(status=401))


@scenes.add
async def ears_stall(folder: Path) -> None:
    await ears_fail(folder, Switches(stall=True))


@scenes.add
async def ears_are_cut(folder: Path) -> None:
    await ears_fail(folder, Switches(cut=True))


@scenes.add
async def ears_talk_nonsense(folder: Path) -> None:
    await ears_fail(folder, Switches(garbage=True))


# --- the voice ---


async def voice_fails(folder: Path, tts: str, trouble: Trouble, code: str) -> None:
    """It fails once; the apology and everything after it is heard."""
    async with _voice(tts) as (vendor, url), call_to(folder, **TYPED, tts=tts, **url) as (call, _):
        vendor.trouble = trouble
        await call.command("text", text=HOURS)
        assert await call.until(lambda: bool(call.record.of(Failure)), 15)
        vendor.trouble = Trouble()
        failures = await apology(call)
        assert {failure.code for failure in failures} == {code}
        assert "Bridge" in await ask(call, "Where is your office?")
        assert dead_air_s(call) <= DEAD_AIR_S
        await call.hang_up()


async def voice_is_dead(folder: Path, tts: str, trouble: Trouble) -> None:
    """Nothing can be said any more: the events say so, and the call does not hang."""
    async with _voice(tts) as (vendor, url), call_to(folder, **TYPED, tts=tts, **url) as (call, _):
        vendor.trouble = trouble
        await call.command("text", text=HOURS)
        assert await call.until(lambda: call.record.ended is not None, 40)
        assert call.record.ended == "provider_failed"
        assert len(call.record.of(Failure)) == 3
        assert [notice.code for notice in call.record.of(Notice)] == ["provider_failed"]
        assert await call.until(lambda: call.failure is not None, 5)


@asynccontextmanager
async def _voice(tts: str) -> AsyncIterator[tuple[Any, dict[str, str]]]:
    if tts == "openai":
        async with OpenAISpeechServer() as speech:
            yield speech, {"openai_base_url": speech.url}
    else:
        async with ElevenLabsServer() as labs:
            yield labs, {"elevenlabs_base_url": labs.url}


@scenes.add
async def openai_voice_answers_500(folder: Path) -> None:
    await voice_fails(folder, "openai", Trouble(status=500, refusals=1), "provider_failed")


@scenes.add
async def openai_voice_is_cut(folder: Path) -> None:
    await voice_fails(folder, "openai", Trouble(cut_after_bytes=6402), "provider_failed")


@scenes.add
async def elevenlabs_http_stalls(folder: Path) -> None:
    await voice_fails(folder, "elevenlabs-http", Trouble(stall_after=2), "provider_timeout")


@scenes.add
async def elevenlabs_socket_is_cut(folder: Path) -> None:
    await voice_fails(folder, "elevenlabs", Trouble(cut_after_bytes=6402), "provider_failed")


@scenes.add
async def elevenlabs_refuses_for_good(folder: Path) -> None:
    await voice_is_dead(folder, "elevenlabs", Trouble(status=401))


@scenes.add
async def openai_voice_is_silent_for_good(folder: Path) -> None:
    await voice_is_dead(folder, "openai", Trouble(stall_after=0))


@pytest.mark.parametrize("scene", scenes.names)
def test_failure(outcomes: dict[str, BaseException | None], scene: str) -> None:
    tell(outcomes[scene])
