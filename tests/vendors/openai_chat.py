"""A server on 127.0.0.1 that speaks OpenAI's streaming chat completions, for tests of adapters at the wire.

It reacts to the conversation. A user message that says ``use NAME {json}`` (several joined by ``and``) gets tool calls,
their fragments interleaved; a tool's result is answered with what it holds; anything else is talked about. Switches in
:class:`Behaviour` make it slow, silent, rude or broken.
"""

import asyncio
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aiohttp import web

_USE = re.compile(r"\buse (\w+)(?:\s+(\{.*?\}))?(?=\s+and use |\s*$|[.!?]|\s*\[)")


@dataclass
class Behaviour:
    """What goes wrong, or takes time. Counts are of tokens already sent."""

    first_token_s: float = 0.0
    token_gap_s: float = 0.0
    stall_after: int | None = None
    cut_after: int | None = None
    malformed_after: int | None = None
    status: int = 200
    error_code: str = "error"
    error_in_stream: bool = False


@dataclass
class ChatStandIn:
    """The running server: ``async with ChatStandIn() as vendor``."""

    behaviour: Behaviour = field(default_factory=Behaviour)
    requests: list[dict[str, Any]] = field(default_factory=list)
    """Bodies of all requests."""
    keys: list[str] = field(default_factory=list)
    """Their Authorization headers."""
    open_streams: int = 0
    url: str = ""
    _runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._completions)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}/v1"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _completions(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.requests.append(body)
        self.keys.append(request.headers.get("Authorization", ""))
        if self.behaviour.status != 200:
            error = {"message": "refused by the stand-in", "type": "error", "code": self.behaviour.error_code}
            return web.json_response({"error": error}, status=self.behaviour.status)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        self.open_streams += 1
        try:
            await self._stream(request, response, body)
        finally:
            self.open_streams -= 1
        return response

    async def _stream(self, request: web.Request, response: web.StreamResponse, body: dict[str, Any]) -> None:
        how = self.behaviour
        await self._send(response, _chunk({"role": "assistant", "content": ""}))
        await asyncio.sleep(how.first_token_s)
        deltas, finish = _answer(body)
        for sent, delta in enumerate(deltas):
            if sent == how.stall_after:
                await asyncio.sleep(3600)
            if sent == how.cut_after and request.transport is not None:
                request.transport.abort()
                return
            if sent == how.malformed_after:
                await response.write(b'data: {"id": "c", "choices": [{"delta": \n\n')
            if how.error_in_stream and sent == 1:
                await self._send(response, {"error": {"message": "overloaded", "type": "server_error", "code": None}})
                return
            await self._send(response, _chunk(delta))
            await asyncio.sleep(how.token_gap_s)
        await self._send(response, _chunk({}, finish))
        if (body.get("stream_options") or {}).get("include_usage"):
            usage = {"prompt_tokens": 10, "completion_tokens": len(deltas), "total_tokens": 10 + len(deltas)}
            await self._send(response, {**_chunk({}), "choices": [], "usage": usage})
        await response.write(b"data: [DONE]\n\n")

    @staticmethod
    async def _send(response: web.StreamResponse, chunk: dict[str, Any]) -> None:
        await response.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")


def _chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "stand-in", "choices": [choice]}


def _answer(body: dict[str, Any]) -> tuple[list[dict[str, Any]], str]:
    """The deltas of the answer to a conversation, and its finish reason."""
    messages = body["messages"]
    last = messages[-1]
    names = {tool["function"]["name"] for tool in body.get("tools") or ()}
    if last["role"] == "tool":
        results: list[str] = []
        for message in reversed(messages):
            if message["role"] != "tool":
                break
            results.insert(0, str(message["content"]))
        return _words(f"The result is {' and '.join(results)}."), "stop"
    calls = [(name, given or "{}") for name, given in _USE.findall(str(last["content"])) if name in names]
    if calls:
        return list(_fragments(calls, len(messages))), "tool_calls"
    said = sum(message["role"] == "user" for message in messages)
    return _words(f"You said {last['content']} as your message number {said}."), "stop"


def _words(text: str) -> list[dict[str, Any]]:
    return [{"content": piece} for piece in re.findall(r"\S+\s*", text)]


def _fragments(calls: list[tuple[str, str]], turn: int) -> Iterator[dict[str, Any]]:
    """Tool calls in pieces of four characters, several calls interleaved, id and name in the first piece only."""
    for index, (name, _) in enumerate(calls):
        function = {"name": name, "arguments": ""}
        head = {"index": index, "id": f"call_{turn}_{index}", "type": "function", "function": function}
        yield {"tool_calls": [head]}
    longest = max(len(given) for _, given in calls)
    for at in range(0, longest, 4):
        for index, (_, given) in enumerate(calls):
            if given[at : at + 4]:
                yield {"tool_calls": [{"index": index, "function": {"arguments": given[at : at + 4]}}]}
