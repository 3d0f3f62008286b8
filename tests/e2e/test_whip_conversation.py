"""Conversations by WebRTC with the product's own engines: the caller is understood, and the agent's words come back."""

import numpy as np
import pytest

from tests.e2e.scenes import Scenes, tell
from tests.e2e.served import Served
from tests.e2e.voices import share_understood, spoken, understood
from voicegate.client.call import CallClient
from voicegate.client.connection import CallTarget, Resume
from voicegate.client.webrtc import WhipSocket
from voicegate.kernel.events import (
    Latency,
    ReplyHeard,
    ReplyInterrupted,
    ReplyText,
    SessionEnded,
    SessionStarted,
    TurnCommitted,
    encode,
)
from voicegate.kernel.ids import new_session_id

HOURS = "What are your opening hours?"

scenes: Scenes[[Served]] = Scenes()


@pytest.fixture(scope="module")
def outcomes(served: Served) -> dict[str, BaseException | None]:
    return scenes.play(served)


@scenes.add
async def asked_and_answered(served: Served) -> None:
    """What the caller hears is what the agent said, word for word, by a listener of our own."""
    question, session_id = await spoken(HOURS), new_session_id()
    async with CallClient(CallTarget(session_id, url=served.url, via="webrtc")) as call:
        await call.greeting_over()
        before = call.tape.agent_end
        utterance = await call.speak(question)
        assert await call.reply_over(utterance)
        await call.hang_up()
    got = [each.event for each in call.record.received]
    assert [encode(event) for event in got] == [encode(event) for event in served.events(session_id)]
    assert isinstance(got[0], SessionStarted)
    assert got[0].transport == "whip"
    assert isinstance(got[-1], SessionEnded)
    (turn,) = [event for event in got if isinstance(event, TurnCommitted)]
    assert share_understood(HOURS, turn.text) >= 0.8
    said = " ".join(event.text for event in got if isinstance(event, ReplyText) and event.turn == turn.turn)
    heard = await understood(call.tape.agent()[before:])
    assert share_understood(said, heard) >= 0.7, (said, heard)
    (latency,) = [event for event in got if isinstance(event, Latency)]
    assert 0 < latency.voice_to_voice_ms < 6_000


@scenes.add
async def interrupted(served: Served) -> None:
    """The agent stops when the caller speaks over it, and what is cut is not heard."""
    question = await spoken(HOURS)
    async with CallClient(CallTarget(new_session_id(), url=served.url, via="webrtc", greeting=False)) as call:
        await call.command("text", text="Tell me about the homes that you have.")
        assert await call.until(lambda: any(len(event.text.split()) >= 3 for event in call.record.of(ReplyHeard)), 15)
        call.start_speaking(question)
        assert await call.until(lambda: bool(call.record.of(ReplyInterrupted)), 15)
        await call.wait_s(0.3)
        await call.hang_up()


@scenes.add
async def gone_and_resumed_elsewhere(served: Served) -> None:
    """A caller whose WebRTC connection vanishes goes on over a WebSocket, and misses nothing."""
    session_id = new_session_id()
    async with CallClient(CallTarget(session_id, url=served.url, via="webrtc", greeting=False)) as call:
        assert isinstance(call._socket, WhipSocket)
        await call.command("text", text=HOURS)
        assert await call.until(lambda: len(call.record.received) >= 4, 15)
        secret, last = str(call.welcome["resumeSecret"]), call.record.received[-1].event.seq
        await call._socket.vanish()
        call._socket._resource = ""
        resume = Resume(secret, last)
        async with CallClient(CallTarget(session_id, url=served.url, resume=resume)) as again:
            assert again.welcome["resumed"] is True
            await again.wait_s(0.5)
            await again.hang_up()
    seqs = [each.event.seq for each in again.record.received]
    assert seqs == list(range(last + 1, last + 1 + len(seqs)))
    assert np.all(np.diff(seqs) == 1)


@pytest.mark.parametrize("name", scenes.names)
def test_scene(outcomes: dict[str, BaseException | None], name: str) -> None:
    tell(outcomes[name])
