"""What may be ordered of a live call, and what becomes of it: one closed union.

It travels by :mod:`sessions.order_line`.
"""

from typing import Annotated, Final, Literal, TypeAlias

import msgspec

_Said: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=2_000)]


class _Order(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Fields may be added with a default, never taken away."""


class Say(_Order, tag="say", tag_field="type", frozen=True):
    """The agent says this."""

    text: _Said
    interrupt: bool = True
    """In place of its reply; else once it is over. Never over the caller's words."""


class Inject(_Order, tag="inject", tag_field="type", frozen=True):
    """The agent knows this from its next answer on. Nobody hears it; it needs a language model."""

    text: _Said


class Mute(_Order, tag="mute", tag_field="type", frozen=True):
    """The agent does not hear the caller: no audio, no text, no keys, until :class:`Unmute`."""


class Unmute(_Order, tag="unmute", tag_field="type", frozen=True): ...


class HandOff(_Order, tag="handoff", tag_field="type", frozen=True):
    """Another published agent of the organisation answers from the next turn on."""

    agent_id: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    organization_id: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    """Of whoever orders it: the agent must be this organisation's."""


class End(_Order, tag="end", tag_field="type", frozen=True):
    """The call ends, after these words if there are any."""

    reason: Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,49}$")] = "operator"
    last_words: Annotated[str, msgspec.Meta(max_length=2_000)] = ""


class Transfer(_Order, tag="transfer", tag_field="type", frozen=True):
    """The carrier connects the caller with a number, and the call leaves us."""

    to: Annotated[str, msgspec.Meta(pattern=r"^\+?[0-9]{3,20}$")]
    our_url: Annotated[str, msgspec.Meta(max_length=300)] = ""
    """Where the carrier reaches a gateway, if whoever orders it knows."""


class PressKeys(_Order, tag="keys", tag_field="type", frozen=True):
    """Telephone keys into the call."""

    digits: Annotated[str, msgspec.Meta(pattern=r"^[0-9*#A-D]{1,64}$")]


class HangUp(_Order, tag="hangUp", tag_field="type", frozen=True):
    """A phone call ends at once."""


Order: TypeAlias = Say | Inject | Mute | Unmute | HandOff | End | Transfer | PressKeys | HangUp
Status: TypeAlias = Literal["done", "refused", "not_live", "no_answer"]


class Outcome(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What became of an order."""

    status: Status
    """``refused``: the call cannot do it, ``code`` says why. ``not_live``: nobody holds the session. ``no_answer``:
    whoever holds it did not say in time; the order may have been done."""
    code: str = ""
    detail: str = ""
    repeated: bool = False
    """It was carried out, or refused, when this id came for the first time."""


KEY_REUSED: Final = Outcome("refused", "key_reused", "This id was used for another order.")
DONE: Final = Outcome("done")
NOT_LIVE: Final = Outcome("not_live")
NO_ANSWER: Final = Outcome("no_answer", detail="The process that holds the call did not answer in time.")
