"""What goes wrong, in words: one table from error codes to HTTP, as ``application/problem+json`` (RFC 9457)."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel
from starlette.exceptions import HTTPException

from control_api.db.database import DatabaseAway
from control_api.degradation.stale import stale_answer
from voicegate.kernel.errors import StateUnavailable

MEDIA_TYPE: Final = "application/problem+json"

CODES: Final[Mapping[str, tuple[int, str]]] = {
    "malformed": (400, "The request cannot be read."),
    "bad_cursor": (400, "The cursor is not one of ours, or of another list."),
    "unauthorized": (401, "A token or an API key is needed, or the one presented is not good."),
    "wrong_credentials": (401, "E-mail address and password do not belong together."),
    "token_reused": (401, "A refresh token was used a second time; its login is revoked."),
    "insufficient_credits": (402, "There are not enough credits for a call."),
    "forbidden": (403, "The role or the key's scopes do not allow this."),
    "not_found": (404, "There is no such thing, or it is another organisation's."),
    "method_not_allowed": (405, "This address does not take this method."),
    "conflict": (409, "It contradicts what is there."),
    "not_published": (409, "The agent has not been published."),
    "not_live": (409, "The conversation is no call that is going on."),
    "not_possible": (409, "The call, its carrier or their setup cannot do this."),
    "erased": (409, "The words of the conversation were erased."),
    "precondition_failed": (412, "It was changed meanwhile: the entity tag is not the current one."),
    "too_large": (413, "The body is too large."),
    "unsupported_media_type": (415, "The body is of a type that is not taken here."),
    "invalid": (422, "The body or a parameter does not fit; the pointers say where."),
    "key_reused": (422, "The idempotency key was used for another request."),
    "precondition_required": (428, "Send If-Match with the entity tag that was read."),
    "rate_limited": (429, "Too many requests; Retry-After says when to come again."),
    "internal": (500, "The fault is ours and in our log."),
    "agent_failed": (502, "The agent's model did not answer."),
    "carrier_failed": (502, "The carrier of the phone call did not do what it was asked."),
    "database_unavailable": (503, "The database is away; calls in progress go on."),
    "issuer_unavailable": (503, "The token's issuer is away, and its key is not known: it may read, or nothing."),
    "state_unavailable": (503, "The state store is away; calls in progress go on."),
    "no_answer": (504, "Whoever has the call did not say in time whether it was done. Ask again with the same key."),
}
"""Code: HTTP status and title. ``docs/control-api.md`` repeats it."""

RETRY_AFTER_S: Final = 5
_BY_STATUS: Final = {
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
}

_log = structlog.get_logger(__name__)


class Pointer(BaseModel):
    """One thing that does not fit."""

    pointer: str = Field(description="JSON Pointer (RFC 6901) into the request: `/body/name`, `/query/limit`.")
    detail: str


class ProblemBody(BaseModel):
    """An error (RFC 9457)."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, title="Problem")

    type: str = "about:blank"
    title: str
    status: int
    code: str = Field(description="Stable name of the error.")
    detail: str
    request_id: str = Field(description="Also in the header X-Request-Id, and in our log.")
    errors: list[Pointer] = []


class Problem(Exception):
    """Ends a request with an error of :data:`CODES`."""

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        errors: Sequence[Pointer] = (),
        headers: Mapping[str, str] | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.code, self.detail, self.errors = code, detail, tuple(errors)
        self.headers = dict(headers or {})
        if retry_after_s is not None:
            self.headers["Retry-After"] = str(max(1, math.ceil(retry_after_s)))


def missing(what: str) -> Problem:
    """The answer to an id that is unknown, or known to others only: nobody learns which."""
    return Problem("not_found", f"There is no such {what}.")


def invalid(pointer: str, detail: str) -> Problem:
    """One thing does not fit."""
    return Problem("invalid", detail, errors=[Pointer(pointer=pointer, detail=detail)])


def problem_response(problem: Problem, request_id: str) -> JSONResponse:
    """The answer to be sent."""
    status, title = CODES[problem.code]
    headers = dict(problem.headers)
    if status == 503:
        headers.setdefault("Retry-After", str(RETRY_AFTER_S))
    if status == 401:
        headers.setdefault("WWW-Authenticate", 'Bearer realm="voicegate"')
    body = ProblemBody(
        title=title,
        status=status,
        code=problem.code,
        detail=problem.detail,
        request_id=request_id,
        errors=list(problem.errors),
    )
    content = body.model_dump(by_alias=True, exclude_defaults=False)
    return JSONResponse(content, status_code=status, headers=headers, media_type=MEDIA_TYPE)


def answer_problems(application: FastAPI) -> None:
    """Make the application answer every error as a problem."""

    async def ours(request: Request, error: Exception) -> Response:
        return problem_response(_translated(error), request_id_of(request))

    async def kept(request: Request, error: Exception) -> Response:
        return await stale_answer(request) or await ours(request, error)

    application.add_exception_handler(DatabaseAway, kept)
    for kind in (Problem, RequestValidationError, HTTPException, StateUnavailable):
        application.add_exception_handler(kind, ours)


def request_id_of(request: Request) -> str:
    """The id that the middleware gave the request."""
    return str(request.scope.get("state", {}).get("request_id", ""))


def _translated(error: Exception) -> Problem:
    match error:
        case Problem():
            return error
        case RequestValidationError():
            return _validation(error.errors())
        case HTTPException():
            code = _BY_STATUS.get(error.status_code, "malformed")
            return Problem(code, str(error.detail), headers=error.headers)
        case DatabaseAway():
            _log.debug("database away", detail=str(error))
            return Problem("database_unavailable", "The database does not answer; try again.")
        case _:
            return Problem("state_unavailable", "The state store does not answer; try again.")


def _validation(errors: Sequence[Any]) -> Problem:
    if any(each["type"] == "json_invalid" for each in errors):
        return Problem("malformed", "The body is not JSON.")
    return Problem("invalid", "See the errors.", errors=pointers(errors))


def pointers(errors: Sequence[Any], root: str = "") -> list[Pointer]:
    """Pydantic's complaints, without the values that were given."""
    return [Pointer(pointer=root + _pointer(each["loc"]), detail=each["msg"]) for each in errors]


def validation_pointers(error: ValidationError, root: str) -> list[Pointer]:
    """The same of a document that is validated on its own, below ``root``."""
    return pointers(error.errors(include_url=False, include_context=False, include_input=False), root)


def _pointer(location: Sequence[str | int]) -> str:
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in location)
