"""Who answers a call: the deployment's own agent, or one that was published through the control API.

A published agent is named by its id, a UUID; every other name is one of the deployment's own. The published version of
the moment when the call begins is the call's until it ends; a call that another process takes over gets today's.
"""

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from pipeline.session_config import Engines, SessionConfig
from sessions.agents import AgentShelf
from voicegate.kernel.errors import RefusedCall
from voicegate.published import PublishedAgents, Workshop


@dataclass(frozen=True, slots=True)
class Cast:
    """What a call is made with."""

    engines: Engines
    config: SessionConfig
    published: bool = False
    payer: str = ""
    """The organisation that pays for the call; empty: it is free."""


class Casting:
    def __init__(self, shelf: AgentShelf, engines: Engines, config: SessionConfig, workshop: Workshop) -> None:
        self._shelf, self._engines, self._config = shelf, engines, config
        self._agents = PublishedAgents(shelf, workshop)

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
        engines = self._engines
        config = replace(
            self._config,
            voice=snapshot.voice or self._config.voice,
            language=snapshot.language or self._config.language,
        )
        if snapshot.preset == "none":
            team = await self._agents.team(snapshot)
            voices = {name: voice or self._config.voice for name, voice in team.voices.items()}
            engines, config = replace(engines, agent=team.agent), replace(config, voices=voices)
        return Cast(engines, config, published=True, payer=snapshot.organization_id if snapshot.paid else "")

    async def of_organization(self, agent_id: str, organization_id: str) -> Cast:
        """The same for a call that is handed over, to a published agent of this organisation.

        Raises:
            RefusedCall: ``gone``, it has published no such agent.
            StateUnavailable: Redis is away.
        """
        snapshot = await self._shelf.take(agent_id) if is_published_id(agent_id) else None
        if snapshot is None or snapshot.organization_id != organization_id:
            raise RefusedCall("gone", "the organisation has published no such agent")
        return await self(agent_id)


def is_published_id(agent: str) -> bool:
    """Whether ``agent`` is an id of the control API, a UUID in its usual form."""
    try:
        return str(uuid.UUID(agent)) == agent
    except ValueError:
        return False


ChooseCast = Callable[[str], Awaitable[Cast]]
