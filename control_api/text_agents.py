"""Agents that answer in text: a port, because the control API itself reaches no model."""

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Protocol

from pipeline.ports import AgentOutput, Message
from sessions.agents import AgentShelf, AgentSnapshot


class TextAgents(Protocol):
    """Published agents and drafts, asked in writing."""

    @property
    def provider(self) -> str:
        """Of the language model, for usage; ``local`` where agents work by rules."""
        ...

    def reply(
        self, snapshot: AgentSnapshot, history: Sequence[Message], text: str, *, session_id: str, agent: str = ""
    ) -> AsyncGenerator[AgentOutput, None]:
        """The answer to ``text`` after ``history``, oldest first. Text comes in deltas which joined give the reply; its
        tools really run in between. An empty ``text`` before everything asks for the greeting.

        ``session_id`` names the conversation to tools. ``agent``: name of the agent that holds the conversation after
        handoffs; empty: the snapshot's own. Closing the generator stops the agent and its tools.

        Raises:
            ProviderError: the model failed, before or in the middle of the answer.
            StateUnavailable: agents that it hands over to cannot be read.
        """
        ...


MakeTextAgents = Callable[[AgentShelf], TextAgents]
"""``shelf``: where the agents are that one may hand over to."""
