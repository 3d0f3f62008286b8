"""A tool that is an HTTP request: arguments in, what came back as text out."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.adapters.http_request import BadArgument, Prepared, masked, prepare
from pipeline.adapters.outward_http import Answer, OutwardHttp, RequestRefused
from pipeline.adapters.tool_arguments import complaints, fitted
from voicegate.kernel.clock import Clock

_SHOWN_OF_FAILURE = 500


@dataclass(frozen=True, slots=True)
class HttpTool:
    """What is called, and how."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    """JSON Schema, as :mod:`pipeline.adapters.tool_arguments` takes it."""
    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout_s: float = 8.0
    acts: bool = True
    filler: str = ""
    broken: str = ""
    """Why it cannot be called at all (its secrets cannot be opened); empty: it can."""


@dataclass(frozen=True, slots=True)
class ToolOutcome:
    """How a call went. Secrets are masked everywhere."""

    ok: bool
    result: str
    """The answer's text; of a failure, why."""
    duration_ms: float = 0.0
    status: int | None = None
    """HTTP status; None: there was no answer."""
    sent: Prepared | None = None
    """None: nothing was sent."""


async def call_tool(http: OutwardHttp, clock: Clock, tool: HttpTool, arguments: Mapping[str, Any]) -> ToolOutcome:
    """Run the tool once. Never raises for what arguments or the far side do."""
    if tool.broken:
        return ToolOutcome(False, tool.broken)
    fit = fitted(tool.parameters, arguments)
    if wrong := complaints(tool.parameters, fit):
        return ToolOutcome(False, f"The arguments do not fit: {'; '.join(wrong)}.")
    try:
        request = prepare(tool.method, tool.url, tool.headers, tool.secrets, fit)
    except BadArgument as error:
        return ToolOutcome(False, f"The arguments do not fit: {error}.")
    began_s = clock.monotonic()
    try:
        ok, result, status = _read(await http.send(request, tool.timeout_s))
    except RequestRefused as error:
        ok, result, status = False, f"The request failed: {error}.", None
    secrets = tool.secrets.values()
    return ToolOutcome(
        ok,
        masked(result, secrets),
        round((clock.monotonic() - began_s) * 1000, 1),
        status,
        _masked_request(request, tool),
    )


def _read(answer: Answer) -> tuple[bool, str, int]:
    text = _text(answer)
    if answer.status >= 400:
        said = f": {text[:_SHOWN_OF_FAILURE]}" if text else ""
        return False, f"The service answered with status {answer.status}{said}", answer.status
    if text is None:
        return False, "The service's answer is neither JSON nor plain text.", answer.status
    return True, text or '{"status": "done"}', answer.status


def _text(answer: Answer) -> str | None:
    """The answer in words; None if it is of another kind."""
    if not answer.body:
        return ""
    try:
        text = answer.body.decode()
        if answer.media_type == "application/json" or answer.media_type.endswith("+json"):
            text = json.dumps(json.loads(text), ensure_ascii=False)
            text.encode()  # JSON may hold halves of characters, which nothing can pass on
            return text
    except (ValueError, RecursionError):
        return None
    return text.strip() if answer.media_type == "text/plain" else None


def _masked_request(request: Prepared, tool: HttpTool) -> Prepared:
    secrets = tool.secrets.values()
    body = None if request.body is None else masked(request.body.decode(), secrets).encode()
    headers = {name: masked(value, secrets) for name, value in request.headers.items()}
    return Prepared(request.method, masked(request.url, secrets), headers, body)
