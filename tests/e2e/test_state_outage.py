"""Redis hangs, dies and comes back in the middle of a call: the call does not notice, and nothing told is lost."""

import asyncio
import json
import os
import signal
import uuid
from pathlib import Path

import pytest
import websockets

from tests.e2e.here import Here, serving
from tests.e2e.wire import Wire, wire
from voicegate.embedded.redis import RedisConfig, embedded_redis
from voicegate.kernel.events import encode
from voicegate.kernel.ids import new_session_id


async def _answered(client: Wire, question: str, within_s: float = 15.0) -> float:
    """Ask by text and hear the beginning of the answer; seconds until its first sound."""
    turns, heard = len(client.of("turn.committed")), len(client.audio)
    asked = asyncio.get_running_loop().time()
    await client.send("text", text=question)
    await client.until(lambda: len(client.of("turn.committed")) > turns and len(client.audio) > heard + 25, within_s)
    return client.audio[heard][0] - asked


def _notices(client: Wire) -> list[str]:
    return [text["code"] for text in client.of("notice") if "seq" in text]


async def _refused(here: Here, protocols: list[str]) -> None:
    """A new call is refused before the upgrade, in words."""
    address = f"{here.url}/voice/{uuid.uuid4()}"
    with pytest.raises(websockets.InvalidStatus) as refusal:
        async with websockets.connect(address, subprotocols=[websockets.Subprotocol(each) for each in protocols]):
            pass
    response = refusal.value.response
    assert response.status_code == 503
    assert response.headers["Content-Type"].startswith("application/problem+json")
    assert int(response.headers["Retry-After"]) > 0
    problem = json.loads(response.body)
    assert problem["code"] == "state_unavailable"
    assert "try again" in problem["detail"] or "cannot be taken" in problem["detail"]


async def test_a_call_outlives_its_redis(tmp_path: Path) -> None:
    session_id = new_session_id()
    pid_file = tmp_path / "redis" / "redis.pid"
    async with (
        serving(tmp_path, vad="webrtc", stt="openai", openai_api_key="key") as here,
        wire(here.url, session_id) as client,
    ):
        await client.send("session.start", greeting=False)
        await _answered(client, "What are your opening hours?")

        os.kill(int(pid_file.read_text()), signal.SIGSTOP)
        try:
            assert await _answered(client, "Where is your office?") < 3.0
            await client.until(lambda: "state_away" in _notices(client))
            await _refused(here, [])
            await _refused(here, ["voice.v1"])
        finally:
            os.kill(int(pid_file.read_text()), signal.SIGKILL)
        assert await _answered(client, "Tell me about Mill Lane.") < 1.0, "it is known to be away by now"

        async with embedded_redis(RedisConfig(directory=tmp_path / "redis")):
            await client.until(lambda: "state_back" in _notices(client))
            assert await _answered(client, "What time is it?") < 1.0
            await client.send("session.end")
            assert await client.closed() == 1000
            stored = [encode(event) for event in await here.events(session_id)]
            async with wire(here.url, new_session_id()) as another:
                await another.send("session.start", greeting=False)
                await _answered(another, "Hello?")
                await another.send("session.end")
                assert await another.closed() == 1000
    told = [text for text in client.texts if "seq" in text]
    assert [text["seq"] for text in told] == list(range(1, len(told) + 1))
    assert [json.loads(each) for each in stored] == told
    assert _notices(client) == ["state_away", "state_back"]
    assert len(client.of("turn.committed")) == 4
