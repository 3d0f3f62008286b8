"""Which agent answers which number: ``+15551234=sales,*=default``. PURE."""

from collections.abc import Mapping
from dataclasses import dataclass

from voicegate.kernel.errors import ConfigError

ANY = "*"


@dataclass(frozen=True, slots=True)
class NumberPlan:
    """Numbers, without anything but digits, to agents."""

    agents: Mapping[str, str]

    def agent_for(self, called: str) -> str:
        """The agent of the number that was called; of ``*``; or empty, the gateway's default."""
        return self.agents.get(_digits(called)) or self.agents.get(called) or self.agents.get(ANY, "")


def read_numbers(text: str) -> NumberPlan:
    """The plan as the setting writes it.

    Raises:
        ConfigError: a part is not ``number=agent``, or a number stands there twice.
    """
    agents: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        number, equals, agent = (piece.strip() for piece in part.partition("="))
        key = _digits(number) or number
        if not (equals and key and agent):
            raise ConfigError(f"{part!r} is not number=agent, such as +15551234567=sales or *=default")
        if key in agents:
            raise ConfigError(f"the number {number} stands there twice")
        agents[key] = agent
    return NumberPlan(agents)


def _digits(number: str) -> str:
    """E.164 without its plus, however it is punctuated; empty for a name or a SIP address."""
    bare = "".join(each for each in number if each not in " +-().\u00a0")
    return bare if bare.isascii() and bare.isdigit() else ""
