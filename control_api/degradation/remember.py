"""Passes on every answer, and keeps those that may be given again. Plain ASGI.

What may be kept, the operation says (:func:`control_api.operations.guarded`): it leaves an :class:`Asked` in the
request's state once the caller is allowed. Then there is the answer itself: a whole one, of a bounded size, with
status 200, that does not depend on more than its URL, and no stream.
"""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from control_api.degradation.answers import MOST_ANSWER_BYTES, Answers, Asked

KEPT_AS = "kept_as"
"""Where the :class:`Asked` is in the request's state."""
_NEVER = ("vary", "set-cookie", "content-range", "content-encoding", "content-disposition")
_STREAM = "text/event-stream"


class Remember:
    def __init__(self, app: ASGIApp, answers: Answers) -> None:
        self._app, self._answers = app, answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        head, body = Headers(), bytearray()
        asked: Asked | None = None

        async def sending(message: Message) -> None:
            nonlocal head, asked
            if message["type"] == "http.response.start":
                head = Headers(scope=message)
                asked = _asked(scope, message["status"], head)
            elif asked is not None:
                body.extend(message.get("body", b""))
                if len(body) > MOST_ANSWER_BYTES:
                    asked = None
                elif not message.get("more_body"):
                    self._answers.keep(asked, head.get("content-type", ""), head.get("etag", ""), bytes(body))
            await send(message)

        await self._app(scope, receive, sending)


def _asked(scope: Scope, status: int, head: Headers) -> Asked | None:
    kept_as: Asked | None = scope.get("state", {}).get(KEPT_AS)
    if status != 200 or any(name in head for name in _NEVER) or head.get("content-type", "").startswith(_STREAM):
        return None
    return kept_as
