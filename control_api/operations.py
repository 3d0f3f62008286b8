"""How an operation is declared: its permission, the errors it documents, its limits. Nothing is public by accident.

``guarded(router.get, "/agents", "agents:read")`` is used as a decorator where FastAPI's own would stand; an operation
that anybody may call says so with ``open_to_all``. The permission goes into the OpenAPI document as ``x-permission``,
from where the tests of the tenant wall take their rows.
"""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from control_api.db.database import DatabaseAway
from control_api.degradation.answers import Asked, digest_of
from control_api.degradation.remember import KEPT_AS
from control_api.degradation.stale import REFERENCES
from control_api.identity.caller import Caller
from control_api.identity.permissions import PERMISSIONS, PERSONAL
from control_api.parts import Parts
from control_api.problems import CODES, MEDIA_TYPE, Problem

F = TypeVar("F", bound=Callable[..., Any])
_BEARER = HTTPBearer(scheme_name="bearer", description="An access token, or an API key (`vgk_…`).", auto_error=False)
PROBLEM_REFERENCE = "#/components/schemas/Problem"
_ALWAYS = (400, 413, 422, 429, 503)


async def _caller(
    parts: Parts, request: Request, presented: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]
) -> Caller:
    caller = await parts.authenticator.caller(presented.credentials if presented else None)
    await _within(parts, f"caller:{caller.name}", caller=True)
    request.scope["state"]["caller"] = caller.name
    return caller


CallerDep = Annotated[Caller, Depends(_caller)]


async def _within(parts: Parts, bucket: str, *, caller: bool) -> None:
    limit = parts.config.requests if caller else parts.config.strangers
    wait = await parts.limits.take(bucket, limit)
    if wait:
        raise Problem("rate_limited", f"Ask again in {wait:.1f} s.", retry_after_s=wait)


def address_of(request: Request) -> str:
    """The peer's address, for limits."""
    return request.client.host if request.client else "unknown"


async def _stranger(parts: Parts, request: Request) -> None:
    await _within(parts, f"address:{address_of(request)}", caller=False)


def guarded(
    method: Callable[..., Any],
    path: str,
    permission: str,
    *,
    errors: tuple[int, ...] = (),
    extra: dict[str, Any] | None = None,
    personal: bool = False,
    kept: bool = True,
    **options: Any,
) -> Callable[[F], F]:
    """Declare an operation that needs ``permission``. ``errors``: statuses beside those that every operation has;
    ``extra``: what FastAPI cannot know of its OpenAPI.

    The answers of one that reads are kept for when the database is away, for all callers of the organisation with the
    same permissions. ``personal``: each gets another answer. ``kept=False``: it has secrets, or must never be old.
    """
    if permission not in PERMISSIONS:
        raise ValueError(f"{permission!r} is not in the table of permissions")

    reads = method.__name__ == "get"

    async def allowed(parts: Parts, request: Request, caller: CallerDep) -> None:
        if permission not in caller.permissions:
            raise Problem("forbidden", f"It needs the permission {permission}.")
        if not reads:
            _expect_no_doubt(caller)
        elif kept:
            by = caller.name if personal or permission in PERSONAL else ""
            request.scope["state"][KEPT_AS] = _asked(parts, request, caller, by)

    responses = options.pop("responses", {})
    if reads and kept:
        responses = {**responses, 200: {"headers": REFERENCES, **responses.get(200, {})}}
    decorate: Callable[[F], F] = method(
        path,
        dependencies=[Depends(allowed)],
        responses=documented((401, 403, *_ALWAYS, *errors), responses),
        openapi_extra={"x-permission": permission, **(extra or {})},
        **options,
    )
    return decorate


def _expect_no_doubt(caller: Caller) -> None:
    match caller.doubt:
        case "database":
            raise DatabaseAway("the caller cannot be looked up")
        case "issuer":
            raise Problem("issuer_unavailable", "The token's issuer is away: you may read, and not change anything.")


def _asked(parts: Parts, request: Request, caller: Caller, by: str) -> Asked:
    url = request.url
    return Asked(caller.organization_id, digest_of(url.path, url.query, caller.permissions, by), parts.clock.utc())


def open_to_all(
    method: Callable[..., Any], path: str, *, errors: tuple[int, ...] = (), limited: bool = True, **options: Any
) -> Callable[[F], F]:
    """Declare an operation that needs no token. ``limited``: each address may use it so often only."""
    decorate: Callable[[F], F] = method(
        path,
        dependencies=[Depends(_stranger)] if limited else [],
        responses=documented((*_ALWAYS, *errors), options.pop("responses", {}))
        if limited
        else options.pop("responses", {}),
        openapi_extra={"x-permission": "public", "security": []},
        **options,
    )
    return decorate


def documented(statuses: tuple[int, ...], others: dict[int | str, dict[str, Any]]) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's ``responses`` for problems, with the codes of each status in words."""
    problems: dict[int | str, dict[str, Any]] = {}
    for status in sorted(set(statuses)):
        codes = [f"`{code}`: {title}" for code, (of, title) in CODES.items() if of == status]
        problems[status] = {
            "description": " ".join(codes),
            "content": {MEDIA_TYPE: {"schema": {"$ref": PROBLEM_REFERENCE}}},
        }
    return problems | others
