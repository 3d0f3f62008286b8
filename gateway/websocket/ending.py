"""How a connection ends: who decides, with which close code, and what becomes of the call."""

import asyncio
from dataclasses import dataclass
from typing import Literal, TypeAlias

import structlog

from gateway.close_codes import CloseCode
from voicegate.kernel.errors import AudioError, AudioTooLarge, RefusedCall, StateUnavailable

_log = structlog.get_logger(__name__)

Farewell: TypeAlias = Literal["hang_up", "detach", "none"]
"""``hang_up``: the call is over. ``detach``: it waits for its resume window. ``none``: it is not ours any more."""


@dataclass(frozen=True, slots=True)
class Ending:
    code: CloseCode
    """What we close with; where the peer closed or vanished it is only for the log."""
    reason: str
    farewell: Farewell
    peer_gone: bool = False
    """Nothing more can be said to this peer."""

    @property
    def hang_up_reason(self) -> str:
        """What ``session.ended`` says."""
        if self.code is CloseCode.NORMAL:
            return "client"
        return "disconnected" if self.peer_gone else self.code.name.lower()


class MustClose(Exception):
    """Raised in a driver: this connection must end so."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.reason)
        self.ending = ending


class Exit:
    """The one place where a connection's end is decided; the first decision stands."""

    def __init__(self) -> None:
        self._decided: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self.decided = False
        self.superseded = False
        """Another connection has the call now: this one must not touch it any more."""

    def supersede(self) -> None:
        """Another connection attached to the same call."""
        self.superseded = True
        self.leave(Ending(CloseCode.TAKEN_OVER, "another connection resumed this call", "none"))

    def leave(self, ending: Ending) -> None:
        """Decide, unless it is decided."""
        if not self.decided:
            self.decided = True
            self._decided.set_result(ending)

    def fail(self, error: Exception) -> None:
        """A driver raised: decide what that means; a fault of ours is logged."""
        ending = ending_for(error)
        if ending.code is CloseCode.INTERNAL:
            _log.error("a message could not be handled", exc_info=error)
        self.leave(ending)

    async def wait(self) -> Ending:
        """The decision, once it fell. May be awaited again."""
        return await asyncio.shield(self._decided)


_REFUSED: dict[str, CloseCode] = {
    "busy": CloseCode.TRY_AGAIN,
    "draining": CloseCode.GOING_AWAY,
    "unauthorized": CloseCode.UNAUTHORIZED,
    "in_use": CloseCode.UNAUTHORIZED,
    "insufficient_credits": CloseCode.NO_CREDITS,
    "forbidden": CloseCode.FORBIDDEN,
    "gone": CloseCode.GONE,
    "state_unavailable": CloseCode.TRY_AGAIN,
}

_ENDED: dict[str, tuple[CloseCode, Farewell]] = {
    "taken_over": (CloseCode.TAKEN_OVER, "none"),
    "lease_lost": (CloseCode.TAKEN_OVER, "none"),
    "draining": (CloseCode.GOING_AWAY, "none"),
    "internal": (CloseCode.INTERNAL, "none"),
}


def ending_for(error: Exception) -> Ending:
    """What an error in a driver means for the connection. Total: what is not known is our fault (1011)."""
    match error:
        case MustClose(ending=ending):
            return ending
        case AudioTooLarge():
            return Ending(CloseCode.AUDIO_TOO_LONG, str(error), "detach")
        case AudioError():
            return Ending(CloseCode.BAD_PAYLOAD, str(error), "detach")
        case RefusedCall(code=code) if code in _REFUSED:
            return Ending(_REFUSED[code], str(error), "none")
        case StateUnavailable():
            return Ending(CloseCode.TRY_AGAIN, "the state store is away; try again later", "none")
        case _:
            return Ending(CloseCode.INTERNAL, "a fault of ours; it is in our log", "detach")


def ending_of_call(reason: str) -> Ending:
    """The call ended on our side, for ``reason``."""
    code, farewell = _ENDED.get(reason, (CloseCode.NORMAL, "none"))
    return Ending(code, reason, farewell)
