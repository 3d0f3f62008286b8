"""uvicorn inside our own event loop and TaskGroup: whoever started us handles signals."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import structlog
import uvicorn
from fastapi import FastAPI

from control_api.config import ControlConfig
from voicegate.kernel.errors import ConfigError

_POLL_S = 0.01
MOST_MESSAGE_BYTES = 16 * 1024
"""Of a WebSocket client's message: a token and a little."""
_PING_S = 20.0
_STUCK_MS = 60_000
"""A client that has taken nothing for so long is gone (RFC 5482); else it would keep its connection for ever."""
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RunningControl:
    """A listening API."""

    host: str
    port: int
    """The real one, where the setting was 0."""

    @property
    def url(self) -> str:
        shown = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{'localhost' if self.host == '127.0.0.1' else shown}:{self.port}"


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to our own loop; uvicorn would stop alone, under everything that still needs it."""
        yield


@contextlib.asynccontextmanager
async def serve(application: FastAPI, config: ControlConfig, tasks: asyncio.TaskGroup) -> AsyncIterator[RunningControl]:
    """Listen while entered. On leaving, requests get ``drain_s`` to end.

    Raises:
        ConfigError: the address cannot be listened on.
    """
    listener = _listen(config.host, config.port)
    settings = uvicorn.Config(
        application,
        log_config=None,
        access_log=False,
        lifespan="off",
        http="httptools",
        ws="websockets-sansio",
        ws_max_size=MOST_MESSAGE_BYTES,
        ws_ping_interval=_PING_S,
        ws_ping_timeout=_PING_S,
        ws_per_message_deflate=False,
        server_header=False,
        timeout_graceful_shutdown=max(1, round(config.drain_s)),
    )
    server = _Server(settings)
    serving = tasks.create_task(server.serve([listener]), name="control API")
    try:
        while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn sets no event
            await asyncio.sleep(_POLL_S)
        host, port = listener.getsockname()[:2]
        _log.info("control API listens", host=host, port=port)
        yield RunningControl(host, port)
    finally:
        server.should_exit = True
        await asyncio.wait((serving,))
        listener.close()


def _listen(host: str, port: int) -> socket.socket:
    # The protocol is named because asyncio turns Nagle's algorithm off only for sockets that say TCP: with it, each
    # answer, written as head and body, would wait up to 40 ms for an acknowledgement (RFC 1122, 4.2.3.2 and 4.2.3.4).
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux; accepted connections inherit it
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _STUCK_MS)
        listener.bind((host, port))
        listener.listen(1024)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise ConfigError(f"the control API cannot listen on {host}:{port}: {error.strerror or error}") from error
    return listener
