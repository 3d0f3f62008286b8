"""The HTTP request that a tool's template makes of arguments. PURE.

A template is an address with ``{parameter}`` in its path and query, and headers with ``{{secret}}`` in their values.
What a parameter holds is escaped (RFC 3986 section 2.1) and never leaves its place: it cannot become another segment of
the path, another field of the query, another host.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

PLACE: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]{0,63})\}")
SECRET_PLACE: Final = re.compile(r"\{\{([A-Za-z_][A-Za-z0-9_]{0,63})\}\}")
MASK: Final = "•••"
BODY_METHODS: Final = frozenset({"POST", "PUT", "PATCH"})
_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")  # RFC 9110 section 5.6.2
_VALUE: Final = re.compile(r"[\x20-\x7e]{0,1000}")
_OURS: Final = frozenset(
    {
        "host",
        "content-length",
        "content-type",
        "content-encoding",
        "transfer-encoding",
        "connection",
        "keep-alive",
        "te",
        "trailer",
        "upgrade",
        "expect",
        "accept-encoding",
        "cookie",
        "proxy-authorization",
        "proxy-connection",
    }
)
"""Headers that the request's making decides, or that act on the connection; no template sets them."""


class BadArgument(ValueError):
    """An argument that must not stand where the template wants it; the message names it."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request ready to be sent."""

    method: str
    url: str
    """Escaped; not to be escaped again."""
    headers: Mapping[str, str]
    body: bytes | None


def template_faults(url: str, parameters: Iterable[str], *, plain_http: bool) -> list[str]:
    """Why an address cannot be a tool's; empty if it can. ``plain_http``: http is allowed too."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        return [str(error)]
    faults = []
    if parts.scheme != "https" and not (plain_http and parts.scheme == "http"):
        faults.append("The address must begin with https://.")
    if not host or "{" in parts.netloc or not re.fullmatch(r"[A-Za-z0-9.:\[\]-]+", parts.netloc):
        faults.append("The address needs a plain host, without parameters, user and password.")
    if parts.fragment or "#" in url:
        faults.append("The address must have no fragment.")
    if not re.fullmatch(r"[\x21-\x7e]*", url) or set(PLACE.sub("", url)) & set('{}\\<>"^`|'):
        faults.append("The address has characters that need escaping.")
    known = set(parameters)
    faults += [f"There is no parameter {name!r}." for name in PLACE.findall(url) if name not in known]
    return faults


def header_faults(headers: Mapping[str, str], secrets: Iterable[str]) -> list[tuple[str, str]]:
    """Name and fault of each header that cannot be a tool's."""
    known, faults = set(secrets), []
    for name, value in headers.items():
        if not _HEADER.fullmatch(name):
            faults.append((name, "It is not the name of a header."))
        elif name.lower() in _OURS:
            faults.append((name, "This header is not a tool's to set."))
        elif not _VALUE.fullmatch(value):
            faults.append((name, "A value has at most 1000 printable ASCII characters."))
        faults += [(name, f"There is no secret {each!r}.") for each in SECRET_PLACE.findall(value) if each not in known]
    return faults


def prepare(
    method: str, url: str, headers: Mapping[str, str], secrets: Mapping[str, str], arguments: Mapping[str, Any]
) -> Prepared:
    """The request. Arguments without a place in the address go into the JSON body, or for methods without one into the
    query.

    Raises:
        BadArgument: one that stands in the path is empty, ``.`` or ``..``, which would make it another path.
    """
    parts = urlsplit(url)
    path = PLACE.sub(lambda found: _segment(found[1], arguments), parts.path)
    query = PLACE.sub(lambda found: quote(_text(arguments.get(found[1], "")), safe=""), parts.query)
    placed = set(PLACE.findall(parts.path)) | set(PLACE.findall(parts.query))
    rest = {name: value for name, value in arguments.items() if name not in placed}
    sent = {"Accept": "application/json, text/plain;q=0.5", **with_secrets(headers, secrets)}
    body: bytes | None = None
    if method in BODY_METHODS:
        body = json.dumps(rest, ensure_ascii=False).encode()
        sent["Content-Type"] = "application/json"
    elif rest:
        query = "&".join(part for part in (query, urlencode(_fields(rest))) if part)
    return Prepared(method, urlunsplit(parts._replace(path=path, query=query)), sent, body)


def with_secrets(headers: Mapping[str, str], secrets: Mapping[str, str]) -> dict[str, str]:
    """The headers with their secrets."""
    return {name: SECRET_PLACE.sub(lambda found: secrets.get(found[1], ""), value) for name, value in headers.items()}


def masked(text: str, secrets: Iterable[str]) -> str:
    """The text without the secrets, whoever repeated them."""
    for secret in sorted((each for each in secrets if each), key=len, reverse=True):
        text = text.replace(secret, MASK)
        text = text.replace(json.dumps(secret)[1:-1], MASK)
    return text


def _segment(name: str, arguments: Mapping[str, Any]) -> str:
    text = _text(arguments.get(name, ""))
    if text in ("", ".", ".."):
        raise BadArgument(f"{name}: {text!r} cannot stand in an address's path")
    return quote(text, safe="")


def _fields(arguments: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        (name, _text(each))
        for name, value in arguments.items()
        for each in (value if isinstance(value, list) else [value])
    ]


def _text(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case list():
            return ",".join(_text(each) for each in value)
        case _:
            return str(value)
