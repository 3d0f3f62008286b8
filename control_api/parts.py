"""What request handlers need: one value, made once by the composition root."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

from fastapi import Depends
from redis.asyncio import Redis
from starlette.requests import HTTPConnection

from control_api.agent_runs.runner import Runner
from control_api.agents.publisher import Publisher
from control_api.analytics.recent import Recent
from control_api.config import ControlConfig
from control_api.credits.bookkeeper import Bookkeeper
from control_api.db.database import Database
from control_api.degradation.answers import Answers
from control_api.degradation.conditions import Conditions
from control_api.health.checks import Health
from control_api.identity.authenticate import Authenticator
from control_api.identity.directory import Directory
from control_api.identity.issuer import Issuer
from control_api.identity.passwords import Passwords
from control_api.notifications.announcer import Announcer
from control_api.notifications.hub import Hub
from control_api.rate import Limits
from control_api.text_agents import TextAgents
from control_api.tools.port import ToolCalls
from sessions.order_line import Orders
from sessions.sealing import Sealing
from sessions.store import Store
from voicegate.kernel.clock import Clock
from voicegate.kernel.telemetry import Telemetry


class MediaTokens(Protocol):
    """Makes tokens that the gateway takes."""

    def __call__(self, session_id: str, agent: str, lifetime_s: int) -> str:
        """A token for one call of this session and agent."""
        ...


@dataclass(frozen=True, slots=True)
class ControlParts:
    config: ControlConfig
    database: Database
    redis: Redis
    store: Store
    orders: Orders
    limits: Limits
    answers: Answers
    conditions: Conditions
    issuer: Issuer
    directory: Directory
    authenticator: Authenticator
    passwords: Passwords
    publisher: Publisher
    bookkeeper: Bookkeeper
    announcer: Announcer
    recent: Recent
    hub: Hub
    runner: Runner
    health: Health
    clock: Clock
    telemetry: Telemetry
    media_token: MediaTokens
    text_agents: TextAgents
    tool_calls: ToolCalls
    sealing: Sealing
    ice_servers: Callable[[str], list[Mapping[str, Any]]]
    """ICE servers for a session, as WebRTC's RTCIceServer."""


def _parts(connection: HTTPConnection) -> ControlParts:
    found: ControlParts = connection.app.state.parts
    return found


Parts = Annotated[ControlParts, Depends(_parts)]
