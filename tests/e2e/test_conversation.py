"""Conversations in the full profile, over real sockets, with the product's own engines."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from audiocodecs.resample import resample_whole
from tests.e2e.conftest import Start
from tests.e2e.scenes import Scenes, tell
from tests.e2e.served import Served
from tests.e2e.voices import burst, is_understood, share_understood, spoken, understood, words
from tests.e2e.wire import wire
from voicegate.client.call import CallClient
from voicegate.client.connection import CallTarget
from voicegate.kernel.audio import PIPELINE_RATE_HZ, Samples
from voicegate.kernel.events import (
    ReplyFinished,
    ReplyHeard,
    ReplyInterrupted,
    ReplyStarted,
    ReplyText,
    SessionEnded,
    SessionStarted,
    SpeechStarted,
    ToolFinished,
    ToolStarted,
    TranscriptFinal,
    TurnCommitted,
    encode,
)
from voicegate.kernel.ids import SessionId, new_session_id

HOURS = "What are your opening hours?"
OFFICE = "Where is your office?"
TIME = "What time is it?"


scenes: Scenes[[Served]] = Scenes()


@pytest.fixture(scope="module")
def outcomes(served: Served) -> dict[str, BaseException | None]:
    return scenes.play(served)


@asynccontextmanager
async def dial(served: Served, **target: Any) -> AsyncIterator[CallClient]:
    """A call that is hung up at the end, and whose events are then held against those in Redis."""
    session_id = new_session_id()
    async with CallClient(CallTarget(session_id, url=served.url, **target)) as call:
        yield call
        await call.hang_up()
    _complete(call, served, session_id)


def _complete(call: CallClient, served: Served, session_id: SessionId) -> None:
    """No event is missing, none is out of order, and Redis has the same ones."""
    got = [each.event for each in call.record.received]
    assert [event.seq for event in got] == list(range(1, len(got) + 1))
    assert isinstance(got[0], SessionStarted)
    assert isinstance(got[-1], SessionEnded)
    assert [encode(event) for event in got] == [encode(event) for event in served.events(session_id)]


def _generated(call: CallClient, turn: int) -> str:
    return " ".join(event.text for event in call.record.of(ReplyText) if event.turn == turn)


async def _mid_reply(call: CallClient, words_heard: int = 3) -> None:
    """Wait until some words of a reply were heard."""
    began = call.record.mark
    assert await call.until(
        lambda: any(len(event.text.split()) >= words_heard for event in call.record.of(ReplyHeard, began)), 15
    )


@scenes.add
async def greeting_question_tool_and_answer(served: Served) -> None:
    async with dial(served) as call:
        await call.greeting_over()
        assert call.record.of(ReplyStarted)[0].kind == "greeting"
        asked = await call.speak(await spoken(TIME))
        assert await call.reply_over(asked, timeout_s=20)
        answer = call.tape.agent(asked.end)
    committed = call.record.of(TurnCommitted)
    assert len(committed) == 1
    assert is_understood(TIME, committed[0].text)
    assert call.record.of(TranscriptFinal)[0].text == committed[0].text
    started, finished = call.record.of(ToolStarted), call.record.of(ToolFinished)
    assert [(tool.name, tool.turn) for tool in started] == [("current_time", committed[0].turn)]
    assert [(tool.call_id, tool.ok) for tool in finished] == [(started[0].call_id, True)]
    said = call.record.of(ReplyFinished)[-1].text
    assert said == _generated(call, committed[0].turn or 0)
    assert share_understood(said, await understood(answer)) >= 0.6
    latency = call.record.latencies()[0]
    parts = [latency.endpointing_ms, latency.stt_ms, latency.agent_ms, latency.tts_ms, latency.playout_ms]
    assert sum(parts) == pytest.approx(latency.voice_to_voice_ms, abs=1.0)
    assert call.record.ended == "client"
    assert call.failure is not None
    assert "1000" in call.failure


@scenes.add
async def barge_in(served: Served) -> None:
    async with dial(served, greeting=False) as call:
        await call.speak(await spoken(HOURS))
        await _mid_reply(call)
        cut_in = call.start_speaking(await spoken(f"Wait. {OFFICE}"))
        assert await call.until(lambda: bool(call.record.of(ReplyInterrupted)), 5)
        interrupted = call.record.of(ReplyInterrupted)[0]
        assert await call.reply_over(cut_in, timeout_s=20)
        last = [event for event in call.record.of(ReplyFinished) if event.turn != interrupted.turn][-1]
    assert interrupted.reason == "barge_in"
    generated = _generated(call, interrupted.turn or 0)
    assert interrupted.heard
    assert interrupted.cut
    assert f"{interrupted.heard} {interrupted.cut}" == generated
    assert "bridge" in words(last.text)
    assert cut_in.start is not None
    # From half a second into the interruption to its end there is nothing of the agent.
    during = call.tape.agent(cut_in.start + PIPELINE_RATE_HZ // 2)[: cut_in.samples.size - PIPELINE_RATE_HZ // 2]
    assert not during.any()
    entries = {(entry.turn, entry.role): entry for entry in served.transcript(call.target.session_id)}
    cut_entry = entries[interrupted.turn or 0, "agent"]  # type: ignore[index]
    assert (cut_entry.text, cut_entry.state) == (interrupted.heard, "interrupted")
    assert cut_entry.generated == generated


@scenes.add
async def a_cough_is_no_barge_in(served: Served) -> None:
    await _noise(served, burst(200))


@scenes.add
async def an_uh_is_no_barge_in(served: Served) -> None:
    await _noise(served, (await spoken("Uh."))[: PIPELINE_RATE_HZ // 4])


async def _noise(served: Served, sound: Samples) -> None:
    """A reply goes on to its end, whether voice activity took the noise for speech or not."""
    async with dial(served, greeting=False) as call:
        question = await call.speak(await spoken(OFFICE))
        await _mid_reply(call)
        mark = call.record.mark
        made = call.start_speaking(sound)
        assert await call.reply_over(question, timeout_s=20)
    assert call.record.of(ReplyInterrupted) == []
    [committed] = call.record.of(TurnCommitted)
    assert is_understood(OFFICE, committed.text)
    finished = call.record.of(ReplyFinished)[-1]
    assert finished.text == _generated(call, finished.turn or 0)
    if call.record.of(SpeechStarted, mark):  # it was heard as a voice: the agent fell silent, then went on
        silent = _longest_silence(call.tape.agent(made.end - sound.size), call.rate_hz)
        assert 0.05 <= silent <= 1.6, silent


def _longest_silence(agent: Samples, rate_hz: int) -> float:
    """Seconds of the longest stretch of nothing inside the agent's audio."""
    sounding = np.flatnonzero(np.abs(agent) > 0)
    return float(np.diff(sounding).max(initial=0)) / rate_hz


@scenes.add
async def typed_text_keys_and_the_stop_button(served: Served) -> None:
    async with dial(served, greeting=False) as call:
        await call.command("text", text=HOURS)
        await _mid_reply(call)
        await call.command("reply.cancel")
        assert await call.until(lambda: bool(call.record.of(ReplyInterrupted)), 5)
        stopped = call.tape.position(call.origin + call.now_s)
        await call.wait_s(1.0)
        assert not call.tape.agent(stopped + call.rate_hz // 5).any(), "it was stopped"
        await call.command("dtmf", digits="42#")
        assert await call.until(lambda: len(call.record.of(ReplyStarted)) == 2, 5)
    assert call.record.of(ReplyInterrupted)[0].reason == "stopped"
    turns = [(turn.text, turn.source) for turn in call.record.of(TurnCommitted)]
    assert turns == [(HOURS, "text"), ("42#", "dtmf")]


@scenes.add
async def the_agent_ends_the_call(served: Served) -> None:
    session_id = new_session_id()
    async with CallClient(CallTarget(session_id, url=served.url, greeting=False)) as call:
        await call.speak(await spoken("Thank you, goodbye."))
        assert await call.until(lambda: call.record.ended is not None, 15)
        assert await call.until(lambda: call.failure is not None, 5)
    assert call.record.of(ToolStarted)[0].name == "end_call"
    assert call.record.ended not in ("client", "disconnected", "error")
    assert "1000" in (call.failure or "")
    assert "goodbye" in words(call.record.of(ReplyFinished)[-1].text)
    _complete(call, served, session_id)


async def test_nobody_is_there(start: Start) -> None:
    """The agent asks twice, says goodbye and hangs up."""
    own = start(VOICEGATE_IDLE_S="1")
    session_id = new_session_id()
    async with CallClient(CallTarget(session_id, url=own.url, greeting=False)) as call:
        assert await call.until(lambda: call.record.ended is not None, 30)
    assert [reply.kind for reply in call.record.of(ReplyStarted)] == ["idle", "idle", "farewell"]
    assert call.record.ended == "idle"
    _complete(call, own, session_id)


@scenes.add
async def a_microphone_that_falls_silent_in_mid_sentence(served: Served) -> None:
    """Frames stop coming while the caller speaks (a dead track, DTX): the turn ends all the same."""
    speech = await spoken("I am looking for a flat to rent.")
    async with wire(served.url, new_session_id()) as client:
        await client.send("session.start", greeting=False)
        await client.first("session.welcome")
        await client.say(speech[: int(speech.size * 0.8)])
        stopped = asyncio.get_running_loop().time()
        await client.first("turn.committed", 4.0)
        await client.until(lambda: bool(client.audio), 4.0)
        assert client.audio[0][0] - stopped < 4.0
        assert words(client.of("turn.committed")[0]["text"]) & {"looking", "flat"}
        await client.send("session.end")
        assert await client.closed() == 1000


@scenes.add
async def formats(served: Served) -> None:
    """Companded, compressed and at 24 kHz, all at once: understood in both directions."""

    async def ask(encoding: str) -> tuple[str, str, str]:
        async with dial(served, greeting=False, encoding=encoding) as call:
            clip = resample_whole(await spoken(TIME), PIPELINE_RATE_HZ, call.rate_hz)
            await call.wait_s(0.5)
            asked = await call.speak(clip)
            assert await call.until(lambda: len(call.record.of(ReplyText)) > 0, 10)
            assert await call.reply_over(asked, timeout_s=20)
            answer = resample_whole(call.tape.agent(asked.end), call.rate_hz, PIPELINE_RATE_HZ)
        return call.record.of(TurnCommitted)[0].text, call.record.of(ReplyFinished)[0].text, await understood(answer)

    exchanges = await asyncio.gather(ask("pcmu"), ask("opus"), ask("pcma"), _at_24_khz(served))
    for heard, said, answer in exchanges:
        assert {"time", "it"} <= words(heard), exchanges
        assert share_understood(said, answer) >= 0.5, exchanges


async def _at_24_khz(served: Served) -> tuple[str, str, str]:
    form = {"encoding": "pcm16", "rate": 24_000}
    speech = np.pad(await spoken(TIME), (0, PIPELINE_RATE_HZ))
    async with wire(served.url, new_session_id()) as client:
        await client.send("session.start", greeting=False, output=form)
        assert (await client.first("session.welcome"))["output"] == form
        await client.say(speech)
        said = (await client.first("reply.finished", 20))["text"]
        assert {len(data) for _, data in client.audio} == {960}, "20 ms each"
        answer = resample_whole(client.samples, 24_000, PIPELINE_RATE_HZ)
        return client.of("turn.committed")[0]["text"], said, await understood(answer)


@pytest.mark.parametrize("scene", scenes.names)
def test_conversation(outcomes: dict[str, BaseException | None], scene: str) -> None:
    tell(outcomes[scene])


def test_the_gateway_is_well(served: Served) -> None:
    assert "Traceback" not in served.log
    assert served.ready()
