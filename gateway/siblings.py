"""Several processes behind one port: what one of them must ask the others.

The kernel spreads connections over the workers (``SO_REUSEPORT``), so a scrape reaches any one of them, and a request
about a WebRTC session may reach one that does not have it. Each worker therefore also serves its application on a Unix
socket that only this user may open; what comes over it is never passed on again.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from voicegate.kernel.errors import ConfigError

_TIMEOUT: Final = aiohttp.ClientTimeout(total=2.0)
_MAX_BODY_BYTES: Final = 1 << 17
_BODY_S: Final = 5.0
_FORWARDED_METHODS: Final = frozenset({"PATCH", "DELETE"})
_KEPT_HEADERS: Final = frozenset({"authorization", "content-type", "if-match", "origin", "host"})
_FROM_HERE: Final = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"})

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Worker:
    """This process's place among its siblings."""

    index: int
    """0 to ``count`` - 1."""
    count: int
    directory: Path
    """Of the Unix sockets; only this user may enter it."""

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise ConfigError(f"worker {self.index} of {self.count}")

    def socket(self, index: int) -> Path:
        return self.directory / f"worker{index}.sock"

    @property
    def others(self) -> list[int]:
        return [index for index in range(self.count) if index != self.index]


def from_sibling(request: web.Request) -> bool:
    """The request came over the Unix socket."""
    return request.transport is not None and isinstance(request.transport.get_extra_info("sockname"), str)


class Siblings:
    """The other workers, as this one sees them. One that does not answer is left out: it may be starting again."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    async def metrics(self, own: bytes) -> bytes:
        """Prometheus text of all workers, each sample with the label ``worker``; ``own`` is this one's."""
        answers = await asyncio.gather(*map(self._scrape, self._worker.others))
        texts = {self._worker.index: own.decode()}
        texts |= {index: text for index, text in zip(self._worker.others, answers, strict=True) if text is not None}
        return await asyncio.to_thread(merged, texts)

    async def _scrape(self, index: int) -> str | None:
        try:
            async with self._client(index) as client, client.get("http://worker/metrics") as answer:
                return await answer.text()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            _log.warning("a worker does not answer", worker=index, error=type(error).__name__)
            return None

    async def ask(self, request: web.Request, body: bytes) -> web.Response | None:
        """The answer of the worker that knows what ``request`` is about; None where none does."""
        headers = {name: value for name, value in request.headers.items() if name.lower() in _KEPT_HEADERS}
        address = f"http://worker{request.path}"
        for index in self._worker.others:
            try:
                async with (
                    self._client(index) as client,
                    client.request(request.method, address, headers=headers, data=body) as answer,
                ):
                    if answer.status != 404:
                        kept = [(name, value) for name, value in answer.headers.items() if _kept(name)]
                        return web.Response(status=answer.status, body=await answer.read(), headers=dict(kept))
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                _log.warning("a worker does not answer", worker=index, error=type(error).__name__)
        return None

    def _client(self, index: int) -> aiohttp.ClientSession:
        connector = aiohttp.UnixConnector(path=str(self._worker.socket(index)))
        return aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT)

    async def answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The request's answer, asked of the others where the resource is unknown here."""
        response = await handler(request)
        if response.status != 404 or request.method not in _FORWARDED_METHODS or from_sibling(request):
            return response
        body = await _body(request)  # a handler that knows nothing of the resource has not read it
        return (await self.ask(request, body) if body is not None else None) or response


def ask_siblings(siblings: Siblings) -> Middleware:
    """Asks the siblings about a resource that is unknown here."""

    @web.middleware
    async def asking(request: web.Request, handler: Handler) -> web.StreamResponse:
        return await siblings.answer(request, handler)

    return asking


async def _body(request: web.Request) -> bytes | None:
    """The body; None where it is too large or does not come."""
    body = b""
    try:
        async with asyncio.timeout(_BODY_S):
            while chunk := await request.content.readany():
                body += chunk
                if len(body) > _MAX_BODY_BYTES:
                    return None
    except TimeoutError:
        return None
    return body


def _kept(name: str) -> bool:
    return name.lower() not in _FROM_HERE


@dataclass(frozen=True, slots=True, eq=False)
class _Families(Collector):
    families: list[Metric]

    def collect(self) -> list[Metric]:
        return self.families


def merged(texts: Mapping[int, str]) -> bytes:
    """Prometheus texts by worker as one, each sample with the label ``worker``."""
    families: dict[str, Metric] = {}
    for index, text in sorted(texts.items()):
        for family in text_string_to_metric_families(text):
            into = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            into.samples += [each._replace(labels=each.labels | {"worker": str(index)}) for each in family.samples]
    registry = CollectorRegistry()
    registry.register(_Families(list(families.values())))
    return generate_latest(registry)
