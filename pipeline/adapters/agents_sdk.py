"""The agent port over the OpenAI Agents SDK: agents, tools and handoffs of any of its models.

Source: ``openai-agents`` 0.24 (``Runner.run_streamed`` and its stream events). Three of its habits shape this module:
leaving ``stream_events`` early waits for the run to finish unless the run was cancelled first; a run that is cancelled
settles in a task of its own, which we wait for; and tool errors are formatted into plain results, which hides them
(see :mod:`pipeline.adapters.agent_tools`).
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from agents import Agent, FunctionTool, Handoff, Model, ModelSettings, RunConfig, Runner, RunResultStreaming
from agents.items import ToolCallOutputItem
from agents.models.interface import ModelProvider
from agents.run_config import CallModelData, ModelInputData
from agents.stream_events import RunItemStreamEvent, StreamEvent

from pipeline.adapters.agent_input import Speaker, facts_text, input_items, notes_text
from pipeline.adapters.agent_tools import CallContext, guard
from pipeline.adapters.model_errors import provider_error
from pipeline.ports import (
    AgentOutput,
    AgentRequest,
    CallEnded,
    HandedOff,
    TextDelta,
    TokensUsed,
    ToolCalled,
    ToolReturned,
)
from voicegate.kernel.errors import ConfigError, ProviderError

MAX_TURNS = 8
"""Model calls in one reply, tool rounds and handoffs included (our choice: a caller waits for each)."""


class _OneModel(ModelProvider):
    """Gives the default model for every name: nothing is ever looked up at a vendor by accident."""

    def __init__(self, model: Model | None) -> None:
        self._model = model

    def get_model(self, model_name: str | None) -> Model:
        if self._model is None:
            raise ConfigError(f"agent without a model (asked for {model_name!r}), and no default model was given")
        return self._model


class AgentsSdkAgent:
    """Answers turns with SDK agents. One a process; holds nothing of any conversation.

    ``agents``: all agents of the call, the starting one first; handoffs between them are declared on the SDK agents.
    Their function tools are guarded (:func:`~pipeline.adapters.agent_tools.guard`).
    ``model``: for agents that have none of their own; ``settings``: override those of all agents. ``fillers``: what is
    said while the tool of this name runs, unless something was said before it.
    """

    def __init__(
        self,
        agents: Sequence[Agent[Any]],
        *,
        provider: str,
        model: Model | None = None,
        settings: ModelSettings | None = None,
        max_turns: int = MAX_TURNS,
        fillers: Mapping[str, str] | None = None,
    ) -> None:
        if not agents:
            raise ConfigError("an agent needs at least one SDK agent")
        for agent in agents:
            agent.tools = [guard(tool) if isinstance(tool, FunctionTool) else tool for tool in agent.tools]
        self._agents = {agent.name: agent for agent in agents}
        self._start = agents[0]
        self._speakers = {agent.name: _speaker(agent) for agent in agents}
        self._provider = provider
        self._max_turns = max_turns
        self._fillers = fillers or {}
        self._run_config = RunConfig(
            model_provider=_OneModel(model),
            model_settings=settings,
            tracing_disabled=True,
            trace_include_sensitive_data=False,
            tool_not_found_behavior="return_error_to_model",
            call_model_input_filter=_with_facts,
        )

    @property
    def provider(self) -> str:
        return self._provider

    @property
    def starting_agent(self) -> str:
        return self._start.name

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._agents)

    def reply(self, request: AgentRequest) -> AsyncGenerator[AgentOutput, None]:
        """Stream the answer (see the port). An unknown ``request.agent`` falls back to the starting agent."""
        return self._reply(request)

    async def _reply(self, request: AgentRequest) -> AsyncGenerator[AgentOutput, None]:
        agent = self._agents.get(request.agent, self._start)
        call = CallContext(
            request.session_id, request.context, request.committed, request.notes, control=request.control
        )
        run = Runner.run_streamed(
            agent,
            input_items(request, self._speakers),
            context=call,
            max_turns=self._max_turns,
            run_config=self._run_config,
        )
        mapping = _Mapping(agent.name, call, self._fillers)
        try:
            async with aclosing(_events(run)) as events:
                async for event in events:
                    for output in mapping.outputs(event):
                        yield output
        except ProviderError:
            raise
        except Exception as error:
            raise provider_error(self._provider, error) from error
        if call.ended is not None:
            yield CallEnded(call.ended)


def _speaker(agent: Agent[Any]) -> Speaker:
    own = frozenset(tool.name for tool in agent.tools if isinstance(tool, FunctionTool))
    return Speaker(Handoff.default_tool_name(agent), own)


async def _events(run: RunResultStreaming) -> AsyncGenerator[StreamEvent, None]:
    """The run's events; leaving early stops the run and waits until its task is gone."""
    events = run.stream_events()
    try:
        async for event in events:
            yield event
    finally:
        task = run.run_loop_task
        if task is not None and not task.done():
            run.cancel()
            await asyncio.wait((task,))
        if isinstance(events, AsyncGenerator):
            await events.aclose()


def _with_facts(data: CallModelData[Any]) -> ModelInputData:
    if isinstance(data.context, CallContext) and (
        more := facts_text(data.context.facts) + notes_text(data.context.notes)
    ):
        data.model_data.instructions = (data.model_data.instructions or "") + more
    return data.model_data


class _Mapping:
    """One reply's stream events to our outputs."""

    def __init__(self, agent: str, call: CallContext, fillers: Mapping[str, str]) -> None:
        self._agent = agent
        self._call = call
        self._fillers = fillers
        self._silent = True
        self._names: dict[str, str] = {}
        self._gap = False

    def outputs(self, event: StreamEvent) -> Iterator[AgentOutput]:
        match event.type:
            case "raw_response_event":
                yield from self._raw(event.data)
            case "run_item_stream_event":
                yield from self._item(event)
            case "agent_updated_stream_event" if event.new_agent.name != self._agent:
                yield HandedOff(self._agent, event.new_agent.name)
                self._agent = event.new_agent.name

    def _raw(self, data: Any) -> Iterator[AgentOutput]:
        match data.type:
            case "response.output_text.delta" | "response.refusal.delta" if data.delta:
                # Two messages of one reply (before and after a tool) must not run into one word.
                yield TextDelta(f" {data.delta}" if self._gap and not data.delta[0].isspace() else data.delta)
                self._gap = self._silent = False
            case "response.output_text.done":
                self._gap = bool(data.text) and not data.text[-1].isspace()
            case "response.completed" if data.response.usage is not None:
                usage = data.response.usage
                yield TokensUsed(usage.input_tokens, usage.output_tokens)

    def _item(self, event: RunItemStreamEvent) -> Iterator[AgentOutput]:
        raw: Any = event.item.raw_item
        if event.name == "tool_called" and raw.type == "function_call":
            self._names[raw.call_id] = raw.name
            if self._silent and (filler := self._fillers.get(raw.name)):
                yield TextDelta(filler)
                self._silent, self._gap = False, True
            yield ToolCalled(raw.call_id, raw.name, raw.arguments)
        elif event.name == "tool_output" and isinstance(event.item, ToolCallOutputItem):
            call_id = raw["call_id"]
            known = call_id in self._names
            ok = known and call_id not in self._call.failed
            yield ToolReturned(call_id, self._names.get(call_id, ""), ok, str(event.item.output))
