"""Who answers a call: the deployment's own agent, or one that was published through the control API.

A published agent is named by its id, a UUID; every other name is one of the deployment's own. The published version of
the moment when the call begins is the call's until it ends; a call that another process takes over gets today's.
"""

import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from pipeline.adapters.openai_compatible import OpenAICompatible
from pipeline.adapters.published_agent import PublishedAgent, Remote, build_published
from pipeline.ports import Agent
from pipeline.session_config import Engines, SessionConfig
from sessions.agents import AgentShelf, AgentSnapshot
from voicegate.kernel.clock import Clock
from voicegate.kernel.errors import RefusedCall

_KEPT = 256
"""Built agents; one costs some milliseconds to build and little to keep."""


@dataclass(frozen=True, slots=True)
class Cast:
    """What a call is made with."""

    engines: Engines
    config: SessionConfig
    published: bool = False


OpenModel = Callable[[str], OpenAICompatible]
"""The deployment's language model, or another one of its endpoint by name."""


class Casting:
    def __init__(
        self,
        shelf: AgentShelf,
        engines: Engines,
        config: SessionConfig,
        clock: Clock,
        open_model: OpenModel | None = None,
    ) -> None:
        """``open_model``: None where agents work by rules."""
        self._shelf, self._engines, self._config = shelf, engines, config
        self._clock, self._open_model = clock, open_model
        self._built: OrderedDict[tuple[str, int], Agent] = OrderedDict()

    async def __call__(self, agent: str) -> Cast:
        """Engines and settings for a call to ``agent`` (empty: the deployment's first).

        Raises:
            RefusedCall: ``gone``, no such agent is published.
            StateUnavailable: Redis is away.
        """
        if not is_published_id(agent):
            return Cast(self._engines, self._config)
        snapshot = await self._shelf.take(agent)
        if snapshot is None:
            raise RefusedCall("gone", "this agent is not published")
        engines = replace(self._engines, agent=self._agent(snapshot))
        config = replace(
            self._config,
            voice=snapshot.voice or self._config.voice,
            language=snapshot.language or self._config.language,
        )
        return Cast(engines, config, published=True)

    def _agent(self, snapshot: AgentSnapshot) -> Agent:
        if snapshot.preset == "estate-agency":
            return self._engines.agent
        key = (snapshot.id, snapshot.version)
        if key not in self._built:
            self._built[key] = self._build(snapshot)
        self._built.move_to_end(key)
        if len(self._built) > _KEPT:
            self._built.popitem(last=False)
        return self._built[key]

    def _build(self, snapshot: AgentSnapshot) -> Agent:
        published = PublishedAgent(
            snapshot.name,
            snapshot.instructions,
            snapshot.greeting,
            {each.topic: each.text for each in snapshot.knowledge},
        )
        if self._open_model is None:
            return build_published(published, self._clock.utc)
        client = self._open_model(snapshot.model)
        return build_published(published, self._clock.utc, Remote(client.model, client.settings, client.provider))


def is_published_id(agent: str) -> bool:
    """Whether ``agent`` is an id of the control API, a UUID in its usual form."""
    try:
        return str(uuid.UUID(agent)) == agent
    except ValueError:
        return False


ChooseCast = Callable[[str], Awaitable[Cast]]
