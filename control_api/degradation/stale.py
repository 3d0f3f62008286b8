"""Answers from what was kept, while the database is away: marked, and with their age."""

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from control_api.degradation.answers import Answers, Asked
from control_api.degradation.remember import KEPT_AS
from voicegate.kernel.clock import Clock

STALE: Final = "X-Voicegate-Stale"
_WARNING: Final = '110 voicegate "Response is Stale"'
"""RFC 7234 section 5.5.1. RFC 9111 has dropped it because nobody sent it; the customer asked for it."""

HEADERS: Final[dict[str, dict[str, Any]]] = {
    "Age": {
        "description": "Only while the database is away: so many seconds ago this was the answer.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "Warning": {
        "description": "Only while the database is away: code 110, the answer is stale (RFC 7234 section 5.5.1).",
        "schema": {"type": "string"},
    },
    STALE: {
        "description": "`true` while the database is away: the answer is an old one.",
        "schema": {"type": "string", "enum": ["true"]},
    },
}
"""In the OpenAPI document's components; every reading operation refers to them."""
REFERENCES: Final = {name: {"$ref": f"#/components/headers/{name}"} for name in HEADERS}


async def stale_answer(request: Request) -> Response | None:
    """The last good answer to the same question of a caller who may ask it, or None."""
    asked: Asked | None = request.scope.get("state", {}).pop(KEPT_AS, None)
    if asked is None:
        return None
    parts = request.app.state.parts
    answers: Answers = parts.answers
    clock: Clock = parts.clock
    kept = await answers.find(asked)
    if kept is None:
        return None
    age_s = max(0, round((clock.utc() - kept.at).total_seconds()))
    headers = {"Age": str(age_s), "Warning": _WARNING, STALE: "true", "Content-Type": kept.content_type}
    if kept.etag:
        headers["ETag"] = kept.etag
    return Response(kept.body, headers=headers)
