"""What happens to every request: an id, a bound on its body, a line in the log, a count. Plain ASGI."""

import re
from uuid import uuid4

import structlog
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from control_api.problems import Problem, problem_response
from voicegate.kernel.clock import Clock
from voicegate.kernel.telemetry import Telemetry

_GIVEN_ID = re.compile(rb"[A-Za-z0-9._-]{8,64}")
_log = structlog.get_logger(__name__)


class _TooLarge(HTTPException):
    """The body has more bytes than allowed. Of this kind, because FastAPI makes 400 of any other error of a body."""

    def __init__(self, most_bytes: int) -> None:
        super().__init__(413, f"A body has at most {most_bytes} bytes.")


class Watch:
    """Gives each request its id (or keeps the one it came with), answers what nobody else answered, logs and counts."""

    def __init__(self, app: ASGIApp, clock: Clock, telemetry: Telemetry, max_body_bytes: int) -> None:
        self._app, self._clock, self._telemetry, self._max_body = app, clock, telemetry, max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        started_s, status = self._clock.monotonic(), 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                headers.setdefault("Cache-Control", "no-store")
                headers["X-Content-Type-Options"] = "nosniff"
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, self._bounded(receive), sending)
            except Exception:
                _log.exception("request failed", method=scope["method"], path=scope["path"])
                problem = Problem("internal", "The fault is ours; the log has it under this request id.")
                await self._answer(problem, scope, receive, sending, status)
            finally:
                self._note(scope, status, self._clock.monotonic() - started_s)

    def _bounded(self, receive: Receive) -> Receive:
        received_bytes = 0

        async def bounded() -> Message:
            nonlocal received_bytes
            message = await receive()
            received_bytes += len(message.get("body", b""))
            if received_bytes > self._max_body:
                raise _TooLarge(self._max_body)
            return message

        return bounded

    async def _answer(self, problem: Problem, scope: Scope, receive: Receive, send: Send, status: int) -> None:
        if status:  # the answer has begun: nothing can be said any more, and the client sees it cut short
            return
        await problem_response(problem, scope["state"]["request_id"])(scope, receive, send)

    def _note(self, scope: Scope, status: int, took_s: float) -> None:
        route = getattr(scope.get("route"), "path_format", "unknown")
        method = scope["method"] if route != "unknown" else "other"
        self._telemetry.histogram(
            "voicegate_api_request_seconds", "Requests to the control API.", operation=f"{method} {route}"
        ).observe(took_s)
        self._telemetry.counter(
            "voicegate_api_responses_total", "Answers of the control API.", status=str(status)
        ).inc()
        caller = scope["state"].get("caller", "")
        _log.info(
            "request",
            method=scope["method"],
            path=scope["path"],
            status=status,
            ms=round(took_s * 1000, 1),
            caller=caller,
        )


def _request_id(scope: Scope) -> str:
    given = dict(scope["headers"]).get(b"x-request-id", b"")
    return given.decode() if _GIVEN_ID.fullmatch(given) else str(uuid4())
