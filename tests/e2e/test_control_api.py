"""``voicegate serve --role all`` as a newcomer uses it: log in, make an agent, publish, call it, read what was said."""

import asyncio
import json
import math
import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from websockets.asyncio.client import connect

PASSWORD = "a password of the tests"
CONFIGURATION = {
    "greeting": "Hello, this is the teller.",
    "knowledge": [{"topic": "opening hours", "text": "We open at nine."}],
}


@pytest.fixture
def folder() -> Any:
    """Every account may enter it: as root, PostgreSQL runs as another one."""
    path = Path(tempfile.mkdtemp(prefix="voicegate-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
async def api(folder: Path) -> AsyncIterator[str]:
    """The started control API's address; stopped by a signal, and properly."""
    settings = {
        "VOICEGATE_DATA_DIR": str(folder),
        "VOICEGATE_API_PORT": "0",
        "VOICEGATE_ADMIN_PASSWORD": PASSWORD,
        "VOICEGATE_LOG_FORMAT": "json",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "voicegate", "serve", "--role", "all", "--port", "0"),
        env={**os.environ, **settings},
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    said = ""
    async with asyncio.timeout(90):
        while not (found := re.search(r"control API is ready on (http://\S+)", said)):
            line = await process.stderr.readline()
            assert line, f"it ended:\n{said}"
            said += line.decode()
    async with asyncio.TaskGroup() as tasks:
        drained = tasks.create_task(process.stderr.read())  # a full pipe would stop it
        yield f"{found[1]}/api/v1"
        process.send_signal(signal.SIGINT)
        await drained
        assert await process.wait() == 0
    assert PASSWORD not in said + drained.result().decode()


async def asked(session: dict[str, Any]) -> list[dict[str, Any]]:
    """A call: the greeting, a typed question, its answer; all events."""
    events: list[dict[str, Any]] = []
    headers = {"Authorization": f"Bearer {session['token']}"}
    async with connect(session["webSocketUrl"], subprotocols=["voice.v1"], additional_headers=headers) as socket:  # type: ignore[list-item]
        await socket.send(json.dumps({"type": "session.start"}))
        async for message in socket:
            if isinstance(message, bytes):
                continue
            events.append(json.loads(message))
            if events[-1]["type"] == "reply.finished":
                again = sum(event["type"] == "reply.finished" for event in events) == 1
                question = {"type": "text", "text": "What are your opening hours?"}
                await socket.send(json.dumps(question if again else {"type": "session.end"}))
    return events


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_the_first_round(api: str) -> None:
    async with aiohttp.ClientSession() as http:

        async def send(method: str, path: str, body: object = None) -> Any:
            async with http.request(method, api + path, json=body) as response:
                assert response.status in (200, 201), await response.text()
                return await response.json()

        login = await send("POST", "/auth/login", {"email": "admin@voicegate.local", "password": PASSWORD})
        http.headers["Authorization"] = f"Bearer {login['accessToken']}"
        seeded = (await send("GET", "/agents"))["items"]
        assert [each["status"] for each in seeded] == ["published"], "there is an agent to call from the start"
        agent = await send("POST", "/agents", {"name": "Teller", "configuration": CONFIGURATION})
        await send("POST", f"/agents/{agent['id']}/publish", {})
        session = await send("POST", f"/agents/{agent['id']}/sessions", {})
        events = await asked(session)
        texts = [event["text"] for event in events if event["type"] == "reply.finished"]
        assert texts == ["Hello, this is the teller.", "We open at nine."]
        with pytest.raises(Exception, match="401"):
            await asked(session)  # its token was good for one call

        async with asyncio.timeout(20):
            while not (kept := (await send("GET", "/conversations?status=ended"))["items"]):
                await asyncio.sleep(0.05)
        assert (kept[0]["agentId"], kept[0]["sessionId"]) == (agent["id"], session["sessionId"])
        said = await send("GET", f"/conversations/{kept[0]['id']}/transcript")
        assert [line["text"] for line in said["lines"]] == [texts[0], "What are your opening hours?", texts[1]]

        async with asyncio.timeout(20):
            while not (held := (await send("GET", "/credits/holds?state=settled"))["items"]):
                await asyncio.sleep(0.05)
        used = [event for event in events if event["type"] == "usage"]
        assert {event["stage"] for event in used} == {"session", "tts"}, "nobody spoke, and no model was asked"
        prices = (await send("POST", "/credits/estimate", {}))["prices"]
        cost = sum(
            math.ceil(round(event["quantity"] * 1000) * prices[f"{event['stage']}/*/{event['unit']}"] / 1000)
            for event in used
        )
        assert (held[0]["sessionId"], held[0]["usedMicro"]) == (session["sessionId"], cost)
        balance = await send("GET", "/credits")
        assert (balance["usedMicro"], balance["heldMicro"]) == (cost, 0)
        assert balance["availableMicro"] == balance["grantedMicro"] - cost
