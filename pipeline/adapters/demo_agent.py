"""The demo: the telephone receptionist of an estate agency and its mortgage adviser, ready to be called.

Without keys both run on the local model; given a model of the SDK they run on that. Data stand beside the code, in
``pipeline/adapters/demo/*.toml``.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo

from agents import Agent, Model, ModelSettings

from pipeline.adapters.agent_tools import CallContext
from pipeline.adapters.agents_sdk import AgentsSdkAgent
from pipeline.adapters.demo.homes import load_homes
from pipeline.adapters.demo.tools import call_tools, loan_tools, search_tools, viewing_tools
from pipeline.adapters.demo.viewings import ViewingsInMemory, ViewingStore
from pipeline.adapters.local.dialogue import LocalDialogue
from pipeline.adapters.local.persona import Entity, Persona, load_persona
from pipeline.adapters.local_model import LocalModel
from voicegate.kernel.clock import Clock, SystemClock


@dataclass(frozen=True, slots=True)
class DemoConfig:
    """Settings of the demo agents."""

    time_zone: str = "Europe/London"
    """IANA name of the agency's time zone."""


@dataclass(frozen=True, slots=True)
class DemoParts:
    """What the demo may be given instead of its own: a model for all agents, a store, a clock."""

    model: Model | None = None
    settings: ModelSettings | None = None
    provider: str = "local"
    viewings: ViewingStore = field(default_factory=ViewingsInMemory)
    clock: Clock = field(default_factory=SystemClock)


def build_demo(config: DemoConfig | None = None, parts: DemoParts | None = None) -> AgentsSdkAgent:
    """The demo agents behind the agent port; "Amelia" answers the call, "Daniel" takes over for mortgages."""
    config, parts = config or DemoConfig(), parts or DemoParts()
    zone = ZoneInfo(config.time_zone)

    def now() -> datetime:
        return parts.clock.utc().astimezone(zone)

    homes = load_homes()
    names = tuple(Entity(home.name, _aliases(home.name, home.kind)) for home in homes)
    receptionist, adviser = _persona("receptionist").with_entities("property", names), _persona("adviser")
    amelia = _agent(receptionist, parts.model, now)
    daniel = _agent(adviser, parts.model, now)
    amelia.tools = [*search_tools(homes), *viewing_tools(homes, parts.viewings, now), *call_tools(now)]
    daniel.tools = [*loan_tools(), *call_tools(now)]
    amelia.handoffs, daniel.handoffs = [daniel], [amelia]
    return AgentsSdkAgent([amelia, daniel], provider=parts.provider, settings=parts.settings)


def _agent(persona: Persona, model: Model | None, now: Callable[[], datetime]) -> Agent[CallContext]:
    local = LocalModel(LocalDialogue(persona, today=lambda: now().date()))
    return Agent(
        name=persona.about.agent,
        instructions=persona.about.instructions.strip(),
        handoff_description=persona.about.offer,
        model=model or local,
    )


@cache
def _persona(name: str) -> Persona:
    return load_persona((files("pipeline.adapters.demo") / f"{name}.toml").read_text(encoding="utf-8"))


def _aliases(name: str, kind: str) -> tuple[str, ...]:
    """Shorter ways of saying a home's name: "the bakery", "tanners yard", "the cottage"."""
    words = name.lower().replace("'s", "s").split()
    short = [
        word for word in words if word in ("bakery", "cottage", "harbour", "orchard", "chapel", "meadow", "weavers")
    ]
    return (" ".join(words), *short, *(["loft"] if "loft" in words else []))
