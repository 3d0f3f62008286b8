"""``voicegate serve --role all`` as a newcomer uses it: make, publish and call an agent, read what became of the call.

By hand, by README's commands word for word, and by the TypeScript client that is generated from the contract.
"""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from websockets.asyncio.client import connect

from tests.e2e import test_readme as readme
from tests.e2e.served import ROOT, free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

EMAIL, PASSWORD = "admin@voicegate.local", "a password of the tests"
CONFIGURATION = {
    "greeting": "Hello, this is the teller.",
    "knowledge": [{"topic": "opening hours", "text": "We open at nine."}],
}
CONTRACT = ROOT / "contract"
COMMANDS = re.compile(r"## The control API in a page\n.*?```sh\n(?P<commands>.*?)```", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Product:
    """It runs."""

    gateway_port: int
    api_port: int

    @property
    def api(self) -> str:
        return f"http://localhost:{self.api_port}"

    def ready(self) -> bool:
        try:
            for port in (self.gateway_port, self.api_port):
                urllib.request.urlopen(f"http://localhost:{port}/health/ready", timeout=5).close()
        except (urllib.error.URLError, OSError):
            return False
        return True


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Every account may enter it: as root, PostgreSQL runs as another one."""
    path = Path(tempfile.mkdtemp(prefix="voicegate-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def product(folder: Path) -> Iterator[Product]:
    """The started product; stopped by a signal, and properly, and its password is nowhere in what it said."""
    running = Product(free_port(), free_port())
    settings = {
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "codecs")]),
        "VOICEGATE_DATA_DIR": str(folder / "data"),
        "VOICEGATE_PORT": str(running.gateway_port),
        "VOICEGATE_API_PORT": str(running.api_port),
        "VOICEGATE_ADMIN_PASSWORD": PASSWORD,
        "VOICEGATE_LOG_FORMAT": "json",
        "VOICEGATE_LATE_MS": "0",
    }
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "voicegate", "serve", "--role", "all"],
            env={**os.environ, **settings},
            stdout=output,
            stderr=output,
        )
    try:
        until = time.monotonic() + 90
        while not running.ready():
            assert process.poll() is None, log.read_text()[-3000:]
            assert time.monotonic() < until, log.read_text()[-3000:]
            time.sleep(0.05)
        yield running
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        assert PASSWORD not in log.read_text()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def question(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with README's question in it."""
    place = tmp_path_factory.mktemp("first-round")
    readme.run(place, "make_question.py")
    return place


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


async def test_the_first_round(product: Product) -> None:
    async with aiohttp.ClientSession() as http:

        async def send(method: str, path: str, body: object = None) -> Any:
            async with http.request(method, f"{product.api}/api/v1{path}", json=body) as response:
                assert response.status in (200, 201), await response.text()
                return await response.json()

        login = await send("POST", "/auth/login", {"email": EMAIL, "password": PASSWORD})
        http.headers["Authorization"] = f"Bearer {login['accessToken']}"
        seeded = (await send("GET", "/agents"))["items"]
        assert "published" in [each["status"] for each in seeded], "there is an agent to call from the start"
        agent = await send("POST", "/agents", {"name": "Teller", "configuration": CONFIGURATION})
        await send("POST", f"/agents/{agent['id']}/publish", {})
        session = await send("POST", f"/agents/{agent['id']}/sessions", {})
        events = await asked(session)
        texts = [event["text"] for event in events if event["type"] == "reply.finished"]
        assert texts == ["Hello, this is the teller.", "We open at nine."]
        with pytest.raises(Exception, match="401"):
            await asked(session)  # its token was good for one call

        async with asyncio.timeout(20):
            ours = f"/conversations?status=ended&agentId={agent['id']}"
            while not (kept := (await send("GET", ours))["items"]):
                await asyncio.sleep(0.05)
        assert kept[0]["sessionId"] == session["sessionId"]
        said = await send("GET", f"/conversations/{kept[0]['id']}/transcript")
        assert [line["text"] for line in said["lines"]] == [texts[0], "What are your opening hours?", texts[1]]


async def test_commands_to_a_live_call(product: Product) -> None:
    """From the API through Redis to the gateway's call, and what its caller hears of it."""
    async with aiohttp.ClientSession() as http:

        async def send(method: str, path: str, body: object = None) -> Any:
            async with http.request(method, f"{product.api}/api/v1{path}", json=body) as response:
                assert response.status in (200, 201), await response.text()
                return await response.json()

        login = await send("POST", "/auth/login", {"email": EMAIL, "password": PASSWORD})
        http.headers["Authorization"] = f"Bearer {login['accessToken']}"
        agents = [
            (await send("POST", "/agents", {"name": name, "configuration": {**CONFIGURATION, "greeting": "Hello."}}))[
                "id"
            ]
            for name in ("First", "Second")
        ]
        for agent in agents:
            await send("POST", f"/agents/{agent}/publish", {})
        session = await send("POST", f"/agents/{agents[0]}/sessions", {})
        orders = [
            {"type": "handoff", "agentId": agents[1]},
            {"type": "say", "text": "A word from the operator."},
            {"type": "end", "reason": "closing", "lastWords": "Good night."},
        ]
        events: list[dict[str, Any]] = []
        headers = {"Authorization": f"Bearer {session['token']}"}
        async with connect(session["webSocketUrl"], subprotocols=["voice.v1"], additional_headers=headers) as socket:  # type: ignore[list-item]
            await socket.send(json.dumps({"type": "session.start"}))
            async for message in socket:
                if isinstance(message, bytes):
                    continue
                events.append(json.loads(message))
                if events[-1]["type"] in ("reply.finished", "handoff"):
                    async with asyncio.timeout(20):
                        while not (kept := (await send("GET", f"/conversations?agentId={agents[0]}"))["items"]):
                            await asyncio.sleep(0.05)
                    if orders:
                        await send("POST", f"/conversations/{kept[0]['id']}/commands", orders.pop(0))
        texts = [event["text"] for event in events if event["type"] == "reply.finished"]
        assert texts == ["Hello.", "A word from the operator.", "Good night."]
        handed = next(event for event in events if event["type"] == "handoff")
        assert (handed["fromAgent"], handed["toAgent"], handed["agentId"]) == ("First", "Second", agents[1])
        assert events[-1] | {"seq": 0, "at": ""} == {
            "type": "session.ended", "sessionId": session["sessionId"], "reason": "closing", "seq": 0, "at": "",
        }  # fmt: skip


def test_the_commands_of_readme(product: Product, question: Path) -> None:
    """Word for word, but for the ports; the password comes from where one types it."""
    found = COMMANDS.search((ROOT / "README.md").read_text())
    assert found is not None
    commands = found["commands"].replace("localhost:8000", f"localhost:{product.gateway_port}")
    script = question / "commands.sh"
    script.write_text("set -euo pipefail\n" + commands.replace("localhost:8001", f"localhost:{product.api_port}"))
    paths = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": paths, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "codecs")])}
    done = subprocess.run(
        ["bash", script.name],
        cwd=question,
        env=environment,
        input=PASSWORD + "\n",
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for told in ("We open at nine.", "event: session.ended", '"voiceToVoiceMs":', '"usedMicro":', '"availableMicro":'):
        assert told in done.stdout, f"{told}\n{done.stdout}"


def npm(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["npm", *arguments], cwd=CONTRACT, check=False, capture_output=True, text=True, timeout=110)


@pytest.fixture(scope="module")
def generated() -> str:
    """The client's types, generated from the contract."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    if not (CONTRACT / "node_modules").exists():
        done = npm("install", "--no-package-lock", "--no-audit", "--no-fund", "--silent")
        if done.returncode != 0:
            shutil.rmtree(CONTRACT / "node_modules", ignore_errors=True)
            pytest.skip(f"npm cannot install the generator: {done.stderr.strip()[-200:]}")
    done = npm("run", "client", "--silent")
    assert done.returncode == 0, done.stderr
    return (CONTRACT / "client" / "api.d.ts").read_text()


def test_the_generated_client(product: Product, question: Path, generated: str, tmp_path: Path) -> None:
    """It type-checks and does the round. The call itself is by the command line; before and after it, TypeScript.

    The round has an error on purpose, marked as expected: a compiler that checks nothing would miss it, and fail.
    """
    assert "webSocketUrl: string" in generated
    compiled = npm("run", "--silent", "build", "--", "--outDir", str(tmp_path))
    assert compiled.returncode == 0, compiled.stdout
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "node_modules").symlink_to(CONTRACT / "node_modules")
    shutil.copy(CONTRACT / "client" / "run-first-round.mjs", tmp_path)
    node = subprocess.Popen(
        ["node", "run-first-round.mjs", product.api, EMAIL],
        cwd=tmp_path,
        env={**os.environ, "PASSWORD": PASSWORD},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert node.stdin is not None
    assert node.stdout is not None
    first = node.stdout.readline()
    assert first, node.communicate()[1]
    session = json.loads(first)
    gateway = session["webSocketUrl"].partition("/voice/")[0]
    call = ("-m", "voicegate", "call", "question.wav", "--url", gateway, "--session", session["sessionId"])
    readme.output(question, *call, "--token", session["token"])
    said, wrong = node.communicate("called\n", timeout=60)
    assert node.returncode == 0, wrong
    came = json.loads(said)
    assert came["status"] == "ended"
    assert came["lines"][0] == "agent: Hello, this is the teller."
    assert came["lines"][-1] == "agent: We open at nine."
    assert came["voiceToVoiceMs"]
    assert came["voiceToVoiceMs"][0] > 0
    assert came["costMicro"] > 0, "the call cost something"
    assert came["availableMicro"] > 0
