"""The console at ``GET /`` and its files below ``/console/``: the page, and the client that any page may load.

All files are read once, before the server listens; a request is a look-up among their names, so no path of a request
ever reaches the file system.
"""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import web

from voicegate.kernel.errors import ConfigError

FOLDER: Final = Path(__file__).resolve().parents[1] / "console"
"""Beside this package, in a checkout and in the wheel alike."""

_TYPES: Final[Mapping[str, str]] = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
"""What is served; other files of the folder are not. RFC 9239 for JavaScript."""

_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""Content Security Policy Level 3 of the page: nothing inline, nothing from elsewhere, in nobody's frame."""

_PAGE_HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": _POLICY,
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
}
_FILE_HEADERS: Final[Mapping[str, str]] = {
    # The client's modules, its worklets too, are loaded by pages of other origins.
    "Access-Control-Allow-Origin": "*",
    "Cross-Origin-Resource-Policy": "cross-origin",
}
_COMMON_HEADERS: Final[Mapping[str, str]] = {
    "Cache-Control": "no-cache",  # kept, and asked for again by its ETag: a new release is seen at once
    "X-Content-Type-Options": "nosniff",
    "Vary": "Accept-Encoding",
}
_WORTH_PACKING_BYTES: Final = 512


@dataclass(frozen=True, slots=True)
class ConsoleFile:
    content_type: str
    body: bytes
    packed: bytes
    """``body`` by gzip (RFC 1952); empty where that saves nothing."""
    etag: str
    """Strong, without quotes (RFC 9110 section 8.8.3)."""


def load_console(folder: Path = FOLDER) -> Mapping[str, ConsoleFile]:
    """The files by their path below ``folder``, with ``/``.

    Raises:
        ConfigError: the folder has no ``index.html``: the installation is incomplete.
    """
    found = {
        path.relative_to(folder).as_posix(): _read(path)
        for path in sorted(folder.rglob("*"))
        if path.suffix in _TYPES and path.is_file()
    }
    if "index.html" not in found:
        raise ConfigError(f"{folder} has no index.html: voicegate is not installed completely")
    return found


def _read(path: Path) -> ConsoleFile:
    body = path.read_bytes()
    packed = gzip.compress(body, mtime=0) if len(body) > _WORTH_PACKING_BYTES else b""
    return ConsoleFile(_TYPES[path.suffix], body, packed, hashlib.sha256(body).hexdigest()[:32])


@dataclass(frozen=True, slots=True)
class Console:
    """The handlers of both routes."""

    files: Mapping[str, ConsoleFile]

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/", self.page), web.get("/console/{path:.*}", self.file)]

    async def page(self, request: web.Request) -> web.Response:
        return _answer(request, self.files["index.html"], _PAGE_HEADERS)

    async def file(self, request: web.Request) -> web.Response:
        found = self.files.get(request.match_info["path"])
        if found is None:
            raise web.HTTPNotFound
        headers = _PAGE_HEADERS if found.content_type == "text/html" else _FILE_HEADERS
        return _answer(request, found, headers)


def _answer(request: web.Request, file: ConsoleFile, headers: Mapping[str, str]) -> web.Response:
    packed = bool(file.packed) and "gzip" in request.headers.get("Accept-Encoding", "")
    etag = f"{file.etag}-gzip" if packed else file.etag
    response = web.Response(headers={**_COMMON_HEADERS, **headers})
    response.etag = etag
    if any(known.value in (etag, "*") for known in request.if_none_match or ()):
        response.set_status(304)
        return response
    response.content_type, response.charset = file.content_type, "utf-8"
    response.body = file.packed if packed else file.body
    if packed:
        response.headers["Content-Encoding"] = "gzip"
    return response
