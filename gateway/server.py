"""The gateway's HTTP server: routes, health, metrics, and an orderly end."""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

import msgspec
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.exposition import choose_encoder

from gateway.drain import letting_go
from gateway.health import HealthReport
from gateway.parts import GatewayParts
from gateway.siblings import Siblings, ask_siblings, from_sibling
from gateway.websocket.door import VoiceDoor
from voicegate.kernel.errors import ConfigError

_BACKLOG = 1024
"""Connections that wait to be accepted. Where there are more the kernel drops what a caller sends first, and he is
refused after the second that his own kernel waits before it tries again: three hundred people in a second are many, and
a loop that is late by half a second has them all at its door. Linux allows 4096 (net.core.somaxconn)."""

_ACCEPTED_AT_ONCE = 16
"""Connections, in one iteration of the loop."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RunningGateway:
    """A listening server."""

    host: str
    port: int
    """The real one, where the setting was 0."""
    parts: GatewayParts


def build_application(
    parts: GatewayParts, registry: CollectorRegistry, *, routes: Iterable[web.RouteDef] = ()
) -> web.Application:
    """The aiohttp application. ``routes`` are those of the other doors and of the console."""
    worker = parts.config.worker
    siblings = Siblings(worker) if worker is not None else None
    pages = _Pages(parts, registry, siblings)
    asking = [ask_siblings(siblings)] if siblings is not None else []
    application = web.Application(middlewares=[_log_requests, letting_go(parts.admission), *asking])
    application.add_routes(
        [
            web.get("/health", pages.health),
            web.get("/health/live", pages.live),
            web.get("/health/ready", pages.ready),
            web.get("/metrics", pages.metrics),
            web.get("/voice/{session_id}", VoiceDoor(parts).__call__),
            *routes,
        ]
    )
    return application


@contextlib.asynccontextmanager
async def serve(
    parts: GatewayParts, application: web.Application, tasks: asyncio.TaskGroup
) -> AsyncIterator[RunningGateway]:
    """Listen while entered. On leaving, new calls are refused, connections close with 1001, then the server ends.

    ``tasks`` is the caller's and gets the clock.

    Raises:
        ConfigError: the address cannot be listened on.
    """
    # The access log of aiohttp is off: it writes whole request lines, and a query may hold what must not be logged.
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=parts.config.close_s)
    await runner.setup()
    beat = tasks.create_task(parts.metronome.run())
    try:
        worker = parts.config.worker
        if worker is not None:
            await _listen(web.UnixSite(runner, worker.socket(worker.index)), str(worker.socket(worker.index)))
        site = web.TCPSite(
            runner, parts.config.host, parts.config.port, backlog=_BACKLOG, reuse_port=worker is not None
        )
        await _listen(site, f"{parts.config.host}:{parts.config.port}")
        await _accept_many(runner, site)
        _log.info("gateway listens", host=parts.config.host, port=site.port)
        yield RunningGateway(parts.config.host, site.port, parts)
    finally:
        parts.admission.draining = True
        await parts.connections.close_all(parts.config.close_s)
        await runner.cleanup()
        beat.cancel()


async def _accept_many(runner: web.AppRunner, site: web.TCPSite) -> None:
    """libuv accepts one connection of a listening socket in an iteration of the loop, and under load an iteration takes
    10 to 50 ms: who calls would stand in a queue before he is even refused. So the loop gets the socket several
    times; they share the kernel's queue, and those that find it empty do nothing."""
    for listening in getattr(site._server, "sockets", ()):
        for _ in range(_ACCEPTED_AT_ONCE - 1):
            again = socket.socket(fileno=os.dup(listening.fileno()))
            await web.SockSite(runner, again, backlog=_BACKLOG).start()


async def _listen(site: web.TCPSite | web.UnixSite, where: str) -> None:
    try:
        await site.start()
    except OSError as error:
        raise ConfigError(f"cannot listen on {where}: {error.strerror or error}") from error


@dataclass(frozen=True, slots=True)
class _Pages:
    parts: GatewayParts
    registry: CollectorRegistry
    siblings: Siblings | None

    async def health(self, _request: web.Request) -> web.Response:
        report = await self._report()
        return _json(report, 503 if report.status == "failed" else 200)

    async def live(self, _request: web.Request) -> web.Response:
        return _json({"status": "ok"}, 200)

    async def ready(self, _request: web.Request) -> web.Response:
        report = await self._report()
        good = report.status != "failed" and not report.draining
        return _json({"status": "ok" if good else "draining" if report.draining else "failed"}, 200 if good else 503)

    async def metrics(self, request: web.Request) -> web.Response:
        if self.siblings is not None and not from_sibling(request):
            body = await self.siblings.metrics(generate_latest(self.registry))
            return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self.registry), headers={"Content-Type": content_type})

    async def _report(self) -> HealthReport:
        return await self.parts.health.report(calls=self.parts.calls.live, draining=self.parts.admission.draining)


def _json(body: object, status: int) -> web.Response:
    headers = {"Cache-Control": "no-store"}
    return web.Response(status=status, body=msgspec.json.encode(body), content_type="application/json", headers=headers)


@web.middleware
async def _log_requests(request: web.Request, handler: Handler) -> web.StreamResponse:
    """One line a request: method and path, never the query, and of a phone's address not the token in it."""
    response = await handler(request)
    path = request.path
    if "token" in request.match_info:
        path = path.removesuffix(request.match_info["token"]) + "<token>"
    _log.debug("request", method=request.method, path=path, status=response.status)
    return response
