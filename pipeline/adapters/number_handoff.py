"""A person who takes over on the telephone, as an agent knows him. PURE."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NumberGiven:
    """A telephone number, and when callers are connected with it."""

    number: str
    """Digits, with or without a plus."""
    condition: str


def number_tool(number: str) -> str:
    """Name of the tool that connects with it."""
    return f"connect_with_{number.removeprefix('+')}"
