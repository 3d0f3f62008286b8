"""The servers that are compared: ours and the peers', each pinned to the first core, each ready to be called."""

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp
import psutil

from benchmarks.gateway_process import free_port, gateway
from benchmarks.peers import stages

HERE: Final = Path(__file__).resolve().parent
_START_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Peer:
    """A framework in a virtual environment of its own."""

    name: str
    packages: tuple[str, ...]
    calls: int
    """How many it is asked to hold where nothing else is said: about half of what it can."""


PEERS: Final = (
    Peer("pipecat", ("pipecat-ai[silero,websocket]==1.14.0", "uvicorn", "uvloop"), 10),
    Peer("livekit", ("livekit-agents[silero]==1.8.9", "uvloop"), 25),
)


@dataclass(frozen=True, slots=True)
class Server:
    url: str
    """Where Twilio's media streams go."""
    process: psutil.Process


async def environment_of(peer: Peer, directory: Path) -> Path:
    """The Python of the peer's environment, made where it is missing."""
    place = directory / peer.name
    python = place / "bin" / "python"
    done = place / ".packages"
    if not (done.exists() and done.read_text() == "\n".join(peer.packages)):
        print(f"installing {peer.packages[0]} into {place}", file=sys.stderr, flush=True)
        await _run([sys.executable, "-m", "venv", str(place)])
        await _run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *peer.packages])
        done.write_text("\n".join(peer.packages))
    return python


@asynccontextmanager
async def peer_server(peer: Peer, directory: Path) -> AsyncIterator[Server]:
    """The peer, ready.

    Raises:
        RuntimeError: it did not come up; the message has the end of its log.
    """
    python = await environment_of(peer, directory)
    port = free_port()
    with tempfile.TemporaryFile() as log:
        variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        process = await asyncio.create_subprocess_exec(
            str(python), str(HERE / f"{peer.name}_server.py"), str(port), stdout=log, stderr=log, env=variables
        )
        try:
            server = psutil.Process(process.pid)
            pin(server, first=True)
            if not await _ready(f"http://127.0.0.1:{port}/health/ready", process):
                log.seek(0)
                raise RuntimeError(f"{peer.name} does not start:\n{log.read().decode(errors='replace')[-2000:]}")
            yield Server(f"ws://127.0.0.1:{port}/twilio", server)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


@asynccontextmanager
async def our_server(calls: int) -> AsyncIterator[Server]:
    """voicegate with all that is on by default, and the same stages."""
    numbers = {
        "--stt-ms": stages.STT_S, "--ttft-ms": stages.FIRST_TOKEN_S, "--token-ms": stages.TOKEN_S,
        "--tts-ms": stages.TTS_FIRST_BYTE_S, "--endpointing-ms": stages.ENDPOINTING_S,
    }  # fmt: skip
    options = [part for name, seconds in numbers.items() for part in (name, str(round(seconds * 1000)))]
    settings = {"VOICEGATE_MAX_CALLS": str(calls + 1)}
    options += ["--tokens", str(stages.TOKENS)]
    async with gateway(None, module="benchmarks.server", options=options, settings=settings) as running:
        assert running.pid is not None
        process = psutil.Process(running.pid)
        pin(process, first=True)
        yield Server(f"{running.url}/phone/twilio", process)


def pin(process: psutil.Process, *, first: bool) -> None:
    """The server alone on the first core, everybody else beside it."""
    cores = list(range(psutil.cpu_count() or 1))
    if len(cores) > 1:
        process.cpu_affinity(cores[:1] if first else cores[1:])


async def _ready(address: str, process: asyncio.subprocess.Process) -> bool:
    loop = asyncio.get_running_loop()
    until = loop.time() + _START_S
    async with aiohttp.ClientSession() as http:
        while loop.time() < until and process.returncode is None:
            try:
                async with http.get(address) as answer:
                    if answer.status == 200:
                        return True
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.2)
    return False


async def _run(command: Sequence[str]) -> None:
    process = await asyncio.create_subprocess_exec(*command)
    if await process.wait():
        raise RuntimeError(f"failed: {' '.join(command)}")
