"""An answer as Server-Sent Events (WHATWG HTML section 9.2), whose work stops when its client has gone."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from voicegate.kernel.events import Event, encode


class EventStream(Response):
    """Sends events as they come. A client that vanishes closes the generator, which may still await in its
    ``finally``; Starlette's own streaming would cancel that too, again and again."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[Event, None], headers: dict[str, str] | None = None) -> None:
        super().__init__(headers=headers)
        del self.headers["content-length"]
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(self._send(send))
            leaving = tasks.create_task(_gone(receive))
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
            sending.cancel()
            leaving.cancel()

    async def _send(self, send: Send) -> None:
        async with aclosing(self._events) as events:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            async for event in events:
                await send({"type": "http.response.body", "body": message(event), "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def message(event: Event) -> bytes:
    """One event on the wire."""
    tag = str(type(event).__struct_config__.tag)
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.seq, tag.encode(), encode(event))
