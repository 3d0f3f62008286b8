"""Capabilities: an answer webhook hands one out, the stream that follows brings it back. Good once, for a minute.

What is handed out is a random token. What it stands for lies with the :class:`Notes`, which all processes of a
deployment share, under the token's SHA-256: whoever reads the store cannot call with what it finds there.
"""

import hashlib
import secrets
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

from gateway.phone.messages import Direction
from voicegate.kernel.clock import Clock

TOKEN_S: Final = 60.0
"""From the webhook's answer to the stream's start message."""


class Grant(msgspec.Struct, frozen=True):
    """What a token allows: this call, once."""

    provider: str
    call_id: str
    agent: str = ""
    returned: bool = False
    """The carrier came back with a call that we had: it goes on or ends, but does not begin."""
    caller: str = ""
    called: str = ""
    direction: Direction = ""


class Held(msgspec.Struct, frozen=True):
    """The conversation that a carrier's call has."""

    session_id: str
    resume_secret: str


class Notes(Protocol):
    """Short texts that live for a while.

    Raises:
        StateUnavailable: every method; the store is away.
    """

    async def put(self, name: str, value: bytes, ttl_s: float) -> None:
        """Keep ``value`` under ``name``; one that was there is replaced."""
        ...

    async def take(self, name: str) -> bytes | None:
        """Read and remove in one step: of two that ask, one gets it."""
        ...

    async def read(self, name: str) -> bytes | None: ...


@dataclass(slots=True)
class _Note:
    value: bytes
    until: float


class NotesHere:
    """Notes of this process alone."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._notes: dict[str, _Note] = {}

    async def put(self, name: str, value: bytes, ttl_s: float) -> None:
        now = self._clock.monotonic()
        self._notes = {each: note for each, note in self._notes.items() if note.until > now}
        self._notes[name] = _Note(value, now + ttl_s)

    async def take(self, name: str) -> bytes | None:
        value = await self.read(name)
        self._notes.pop(name, None)
        return value

    async def read(self, name: str) -> bytes | None:
        note = self._notes.get(name)
        return note.value if note is not None and note.until > self._clock.monotonic() else None


class Capabilities:
    """Hands out and takes back. ``hold_s``: how long a call's conversation is remembered; ``wait_s``: how long once its
    stream was lost."""

    def __init__(self, notes: Notes, *, hold_s: float, wait_s: float = 60.0) -> None:
        self._notes = notes
        self._hold_s = hold_s
        self._wait_s = wait_s

    async def grant(self, grant: Grant, token: str = "") -> str:
        """A new token; ``token`` is one that the caller has made, as hard to guess as ours."""
        token = token or secrets.token_urlsafe(24)
        await self._notes.put(_token_note(token), msgspec.json.encode(grant), TOKEN_S)
        return token

    async def redeem(self, token: str) -> Grant | None:
        """What the token stands for; None: unknown, stale, or used before. It is dead now."""
        found = await self._notes.take(_token_note(token))
        return None if found is None else msgspec.json.decode(found, type=Grant)

    async def grant_number(self, number: str) -> str:
        """A token for a number that a carrier is to dial."""
        token = secrets.token_urlsafe(24)
        await self._notes.put(f"dial:{_token_note(token)}", number.encode(), TOKEN_S)
        return token

    async def redeem_number(self, token: str) -> str | None:
        """The number; None: unknown, stale, or used before. The token is dead now."""
        found = await self._notes.take(f"dial:{_token_note(token)}")
        return None if found is None else found.decode()

    async def hold(self, provider: str, call_id: str, held: Held) -> None:
        """Remember which conversation this call has."""
        await self._notes.put(_call_note(provider, call_id), msgspec.json.encode(held), self._hold_s)

    async def release(self, provider: str, call_id: str) -> None:
        """The conversation is over: if the carrier comes back, the call ends."""
        await self._notes.take(_call_note(provider, call_id))

    async def wait(self, provider: str, call_id: str) -> None:
        """Its stream was lost: who does not come back soon finds nothing, and leaves nothing."""
        name = _call_note(provider, call_id)
        if (found := await self._notes.read(name)) is not None:
            await self._notes.put(name, found, self._wait_s)

    async def held(self, provider: str, call_id: str) -> Held | None:
        found = await self._notes.read(_call_note(provider, call_id))
        return None if found is None else msgspec.json.decode(found, type=Held)


def _token_note(token: str) -> str:
    return f"phone-token:{hashlib.sha256(token.encode(errors='surrogatepass')).hexdigest()}"


def _call_note(provider: str, call_id: str) -> str:
    return f"phone-call:{provider}:{hashlib.sha256(call_id.encode(errors='surrogatepass')).hexdigest()}"
