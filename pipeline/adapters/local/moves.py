"""What a dialogue may do next: one closed union."""

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Say:
    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """Call a tool."""

    tool: str
    arguments: str
    """JSON text."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """Give the conversation to another agent."""

    agent: str


Move: TypeAlias = Say | Call | Transfer
