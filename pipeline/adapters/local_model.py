"""A model of the OpenAI Agents SDK that needs no network: a dialogue of rules and retrieval behind the SDK's port.

The dialogue (:mod:`pipeline.adapters.local`) decides; this module speaks the SDK's language: input items in,
Responses-shaped stream events out, one text delta a word.
"""

import re
from collections.abc import AsyncIterator, Iterator, Sequence
from itertools import count
from typing import Any, Protocol
from uuid import uuid4

from agents import FunctionTool, Handoff, Model, ModelResponse, ModelSettings, Tool, Usage
from agents.agent_output import AgentOutputSchemaBase
from agents.items import TResponseInputItem, TResponseStreamEvent
from agents.models.interface import ModelTracing
from openai.types.responses import (
    Response,
    ResponseCompletedEvent,
    ResponseCreatedEvent,
    ResponseFunctionToolCall,
    ResponseOutputItem,
    ResponseOutputItemAddedEvent,
    ResponseOutputItemDoneEvent,
    ResponseOutputMessage,
    ResponseOutputText,
    ResponseTextDeltaEvent,
    ResponseTextDoneEvent,
    ResponseUsage,
)
from openai.types.responses.response_prompt_param import ResponsePromptParam
from openai.types.responses.response_usage import InputTokensDetails, OutputTokensDetails

from pipeline.adapters.local.moves import Call, Move, Say, Transfer

_PIECES = re.compile(r"\S+\s*")


class Dialogue(Protocol):
    """What decides. Synchronous and quick: below a millisecond a turn."""

    def decide(self, items: Sequence[Any], tools: Sequence[FunctionTool], agents: Sequence[str]) -> Move:
        """The next move after the conversation ``items`` (Responses input items, oldest first).

        ``tools``: what may be called; ``agents``: names of agents one may transfer to.
        """
        ...


class LocalModel(Model):
    """The SDK's model interface over a :class:`Dialogue`."""

    def __init__(self, dialogue: Dialogue) -> None:
        self._dialogue = dialogue

    async def get_response(
        self,
        system_instructions: str | None,
        input: str | list[TResponseInputItem],  # noqa: A002 (the SDK's name)
        model_settings: ModelSettings,
        tools: list[Tool],
        output_schema: AgentOutputSchemaBase | None,
        handoffs: list[Handoff[Any, Any]],
        tracing: ModelTracing,
        *,
        previous_response_id: str | None = None,
        conversation_id: str | None = None,
        prompt: ResponsePromptParam | None = None,
    ) -> ModelResponse:
        item = self._output(input, tools, handoffs)
        return ModelResponse(output=[item], usage=Usage(requests=1), response_id=None)

    async def stream_response(
        self,
        system_instructions: str | None,
        input: str | list[TResponseInputItem],  # noqa: A002 (the SDK's name)
        model_settings: ModelSettings,
        tools: list[Tool],
        output_schema: AgentOutputSchemaBase | None,
        handoffs: list[Handoff[Any, Any]],
        tracing: ModelTracing,
        *,
        previous_response_id: str | None = None,
        conversation_id: str | None = None,
        prompt: ResponsePromptParam | None = None,
    ) -> AsyncIterator[TResponseStreamEvent]:
        item = self._output(input, tools, handoffs)
        for event in stream_events(item):
            yield event

    def _output(
        self,
        items: str | list[TResponseInputItem],
        tools: list[Tool],
        handoffs: list[Handoff[Any, Any]],
    ) -> ResponseOutputItem:
        read = [{"role": "user", "content": items}] if isinstance(items, str) else items
        usable = [tool for tool in tools if isinstance(tool, FunctionTool)]
        transfers = {handoff.agent_name: handoff.tool_name for handoff in handoffs}
        move = self._dialogue.decide(read, usable, list(transfers))
        match move:
            case Say(text):
                return _message(text)
            case Call(tool, arguments):
                return _call(tool, arguments)
            case Transfer(agent):
                return _call(transfers[agent], "{}")


def stream_events(item: ResponseOutputItem) -> Iterator[TResponseStreamEvent]:
    """A finished output item as the events a streaming provider would send, one text delta a word.

    ``model_construct`` skips validation: the values are ours, and the caller waits for the first word.
    """
    number = count()
    yield ResponseCreatedEvent.model_construct(
        type="response.created", response=_response([]), sequence_number=next(number)
    )
    yield ResponseOutputItemAddedEvent.model_construct(
        type="response.output_item.added", item=item, output_index=0, sequence_number=next(number)
    )
    if isinstance(item, ResponseOutputMessage):
        text = "".join(part.text for part in item.content if isinstance(part, ResponseOutputText))
        place: dict[str, Any] = {"item_id": item.id, "content_index": 0, "output_index": 0, "logprobs": []}
        for piece in _PIECES.findall(text):
            yield ResponseTextDeltaEvent.model_construct(
                type="response.output_text.delta", delta=piece, sequence_number=next(number), **place
            )
        yield ResponseTextDoneEvent.model_construct(
            type="response.output_text.done", text=text, sequence_number=next(number), **place
        )
    yield ResponseOutputItemDoneEvent.model_construct(
        type="response.output_item.done", item=item, output_index=0, sequence_number=next(number)
    )
    yield ResponseCompletedEvent.model_construct(
        type="response.completed", response=_response([item]), sequence_number=next(number)
    )


def _message(text: str) -> ResponseOutputMessage:
    part = ResponseOutputText(type="output_text", text=text, annotations=[])
    return ResponseOutputMessage(
        id=f"msg_{uuid4().hex}", type="message", role="assistant", status="completed", content=[part]
    )


def _call(name: str, arguments: str) -> ResponseFunctionToolCall:
    return ResponseFunctionToolCall(type="function_call", call_id=f"call_{uuid4().hex}", name=name, arguments=arguments)


def _response(output: list[ResponseOutputItem]) -> Response:
    # No tokens are spent here, and none are reported: usage zero, so that billing by tokens stays zero.
    usage = ResponseUsage(
        input_tokens=0,
        input_tokens_details=InputTokensDetails(cached_tokens=0, cache_write_tokens=0),
        output_tokens=0,
        output_tokens_details=OutputTokensDetails(reasoning_tokens=0),
        total_tokens=0,
    )
    return Response.model_construct(
        id=f"resp_{uuid4().hex}",
        object="response",
        created_at=0.0,
        model="local",
        output=output,
        parallel_tool_calls=False,
        tool_choice="auto",
        tools=[],
        usage=usage,
    )
