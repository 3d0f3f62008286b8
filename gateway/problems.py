"""Refusals in words: one table from error codes to HTTP, as ``application/problem+json`` (RFC 9457)."""

import logging
import math

import msgspec
from aiohttp import web

from voicegate.kernel.errors import RefusedCall

REFUSALS: dict[str, tuple[int, str]] = {
    "bad_session_id": (400, "The session id has 1 to 64 characters of A-Z, a-z, 0-9, underscore and hyphen."),
    "token_in_query": (400, "A token was sent in the address, where logs and proxies keep it."),
    "bad_request": (400, "A name or a value of the request is not one of those allowed."),
    "bad_sdp": (400, "The session description is malformed."),
    "bad_webhook": (400, "A carrier's webhook cannot be read, or names no call."),
    "bad_subprotocol": (400, "No offered subprotocol is known."),
    "not_a_websocket": (426, "This address takes WebSocket connections."),
    "unauthorized": (401, "A token is needed, or the one presented is not good."),
    "token_used": (401, "A single-use token was used before."),
    "insufficient_credits": (402, "The agent's organisation has not enough credits for a call."),
    "forbidden": (403, "The token does not allow this call."),
    "foreign_origin": (403, "A web page of this origin may not call without a token."),
    "forged": (403, "A carrier's signature is missing, wrong or stale."),
    "foreign_call": (403, "The token belongs to another phone call."),
    "foreign_client": (403, "Calls without a token are taken from this machine only."),
    "unknown_session": (404, "There is no such WHIP session, or it is over."),
    "unsupported_media": (406, "The offer has something that cannot be answered, or lacks audio as Opus."),
    "too_slow": (408, "The body did not come in time."),
    "unknown_carrier": (404, "No carrier of this name is set up."),
    "in_use": (409, "The session id belongs to a call that has a connection."),
    "not_possible": (409, "The carrier, or its setup, cannot do this."),
    "gone": (410, "There is nothing to resume."),
    "etag_mismatch": (412, "The ETag is not that of the WHIP session."),
    "too_large": (413, "The body, or a number of things in it, is above its limit."),
    "wrong_type": (415, "The Content-Type is not the one that this address takes."),
    "ice_restart": (422, "ICE restarts are not supported."),
    "unsupported_setup": (422, "The roles that were offered cannot be agreed on."),
    "if_match_missing": (428, "The request must name the session's ETag."),
    "too_many_requests": (429, "This WHIP session was patched too often."),
    "too_many_connections": (429, "This peer connects too often."),
    "carrier_failed": (502, "The carrier's REST API did not do what it was asked."),
    "no_answer": (504, "The process that has the call did not say in time whether it was done."),
    "busy": (503, "As many calls as allowed are running."),
    "draining": (503, "This process is shutting down."),
    "state_unavailable": (503, "The state store is away; calls in progress go on."),
    "not_ready": (503, "A part that calls need is not ready."),
}
"""Code of a refusal before the upgrade: HTTP status and meaning. ``docs/protocols.md`` repeats it."""

PASSING = frozenset(code for code, (status, _) in REFUSALS.items() if status == 503)
"""Refusals that say nothing about the caller: another time, or another process, may take the call."""


def told_at(refusal: RefusedCall) -> int:
    """The level of the log line. Of those who are refused while all lines are busy there may be a hundred a second,
    when calls need the time that a line takes: :meth:`gateway.admission.Admission.refused` tells of them together."""
    return logging.DEBUG if refusal.code == "busy" else logging.INFO


RETRY_AFTER_S = 5.0
"""``Retry-After`` of a 503 that says nothing better."""


class Problem(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    title: str
    status: int
    code: str
    detail: str
    type: str = "about:blank"
    retry_after_s: float | None = None


def problem_response(refusal: RefusedCall) -> web.Response:
    """The answer to a call that is not taken. Unknown codes become 500 without detail."""
    status, title = REFUSALS.get(refusal.code, (500, "Internal error."))
    retry = refusal.retry_after_s
    if retry is None and status == 503:
        retry = RETRY_AFTER_S
    detail = str(refusal) if status != 500 else "The fault is in our log."
    body = Problem(title, status, refusal.code, detail, retry_after_s=retry)
    headers = {"Retry-After": str(math.ceil(retry))} if retry is not None else {}
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="voicegate"'
    if status == 426:
        headers |= {"Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    headers["Cache-Control"] = "no-store"
    return web.Response(
        status=status, body=msgspec.json.encode(body), content_type="application/problem+json", headers=headers
    )


def refusal_table_markdown() -> str:
    """The table as it stands in ``docs/protocols.md``."""
    rows = [f"| {status} | `{code}` | {meaning} |" for code, (status, meaning) in REFUSALS.items()]
    return "\n".join(["| status | code | meaning |", "|---|---|---|", *rows])
