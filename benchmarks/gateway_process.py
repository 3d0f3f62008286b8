"""A gateway in its own process, for as long as a benchmark needs it."""

import asyncio
import os
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from benchmarks.machine import ROOT
from voicegate.client.connection import CallFailed

_START_S = 60.0
_STOP_S = 15.0
_DYING_S = 5.0
"""A call that breaks may be the first to notice that the gateway is on its way out."""
_ASK_EVERY_S = 0.1


@dataclass(frozen=True, slots=True)
class RunningGateway:
    url: str
    """``ws://host:port``."""
    pid: int | None
    """Its process; None when it is not ours."""
    data_dir: Path | None = None
    """Where it keeps its embedded Redis; None when it is not ours."""


class GatewayDidNotStart(Exception):
    """The message has the last lines it wrote."""


class GatewayDied(Exception):
    """It ended by itself while it was measured; what was measured is worth nothing. The message has its last lines."""


@asynccontextmanager
async def gateway(
    url: str | None,
    *,
    module: str = "voicegate",
    options: Sequence[str] = (),
    settings: Mapping[str, str] | None = None,
    root: Path = ROOT,
) -> AsyncIterator[RunningGateway]:
    """The gateway at ``url``, or one of our own: ``python -m module [serve] --port N options``, of the tree
    at ``root``.

    ``settings`` are variables of its environment; ``{port}`` in a value stands for its port. Unless they say otherwise
    it sheds and refuses nothing for its load: what is measured is as many calls as the benchmark says.

    Raises:
        GatewayDidNotStart: ours ended, or was not ready within a minute.
        GatewayDied: ours ended while it was measured.
    """
    if url:
        yield RunningGateway(url, None)
        return
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="voicegate-bench-") as folder:
        log = Path(folder, "gateway.log")
        command = [sys.executable, "-m", module, *(["serve"] if module == "voicegate" else []), "--port", str(port)]
        environment = {**os.environ, "VOICEGATE_DATA_DIR": str(Path(folder, "data")), "VOICEGATE_LOG_LEVEL": "info"}
        environment["VOICEGATE_LATE_MS"] = "0"
        environment |= {name: value.replace("{port}", str(port)) for name, value in (settings or {}).items()}
        environment["PYTHONPATH"] = os.pathsep.join([str(root), str(root / "codecs")])
        with log.open("wb") as output:  # noqa: ASYNC230 - before anything is measured
            process = await asyncio.create_subprocess_exec(
                *command, *options, stdout=output, stderr=output, env=environment, cwd=root
            )
        try:
            await _ready(port, process, log)
            yield RunningGateway(f"ws://127.0.0.1:{port}", process.pid, Path(folder, "data"))
            if process.returncode is not None:
                raise GatewayDied(f"the gateway ended with {process.returncode}:\n{_tail(log)}")
        except (CallFailed, BaseExceptionGroup) as error:
            if not await _ends(process, _DYING_S):
                raise
            raise GatewayDied(f"the gateway ended with {process.returncode}:\n{_tail(log)}") from error
        finally:
            await _stop(process)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _ready(port: int, process: asyncio.subprocess.Process, log: Path) -> None:
    address = f"http://127.0.0.1:{port}/health/ready"
    try:
        async with asyncio.timeout(_START_S), aiohttp.ClientSession() as http:
            while not await _answers(http, address):
                if process.returncode is not None:
                    break
                await asyncio.sleep(_ASK_EVERY_S)
    except TimeoutError:
        raise GatewayDidNotStart(f"not ready after {_START_S:g} s:\n{_tail(log)}") from None
    if process.returncode is not None:
        raise GatewayDidNotStart(f"ended with {process.returncode}:\n{_tail(log)}")


async def _answers(http: aiohttp.ClientSession, address: str) -> bool:
    try:
        async with http.get(address) as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    if not await _ends(process, _STOP_S):
        process.kill()
        await process.wait()


async def _ends(process: asyncio.subprocess.Process, within_s: float) -> bool:
    try:
        async with asyncio.timeout(within_s):
            await process.wait()
    except TimeoutError:
        return False
    return True


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-20:])
