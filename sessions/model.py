"""What is known of a session: its record and its transcript, as values."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, TypeAlias

import msgspec

from voicegate.kernel.ids import SessionId, TurnId

Status: TypeAlias = Literal["live", "ended"]
Role: TypeAlias = Literal["user", "agent"]
EntryState: TypeAlias = Literal["speaking", "finished", "interrupted"]

DISCONNECTED = "disconnected"
"""The reason of an end that a client with the secret may undo: it vanished and did not come back in time."""


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """One session as Redis has it. Times are UTC, from Redis' clock."""

    id: SessionId
    agent: str
    status: Status
    created_at: datetime
    updated_at: datetime
    """Last sign of life: a stored event or a renewed lease."""
    transport: str = ""
    owner: str = ""
    """The process that holds it, or held it last."""
    ended_reason: str = ""
    context: Mapping[str, str] = field(default_factory=dict)
    """Facts of the call: caller's number, custom parameters, locale, time zone."""
    resume_key: str = ""
    """Digest of the client's resume secret; empty: not resumable."""


@dataclass(frozen=True, slots=True)
class TranscriptEntry:
    """What one side said in one turn."""

    turn: TurnId
    role: Role
    text: str
    """The user's words. The agent's: what it is about to say while ``speaking``, what was heard of it afterwards."""
    at: datetime
    generated: str = ""
    """All that the model wrote for this turn (agent only)."""
    heard: str = ""
    """What the caller has heard so far (agent only)."""
    state: EntryState = "finished"
    agent: str = ""
    """Name of the agent that spoke."""


def resume_key(secret: str) -> str:
    """Digest under which a resume secret is stored. The secret is random and long, so no salt is needed."""
    return hashlib.sha256(secret.encode()).hexdigest() if secret else ""


def may_resume(record: SessionRecord, secret: str) -> bool:
    """Whether ``secret`` is the session's, compared in constant time."""
    return bool(record.resume_key and secret) and hmac.compare_digest(record.resume_key, resume_key(secret))


def record_fields(record: SessionRecord) -> dict[str, str]:
    """The record as fields of a Redis hash; inverse of :func:`record_from`."""
    return {
        "agent": record.agent,
        "status": record.status,
        "created_ms": str(to_ms(record.created_at)),
        "updated_ms": str(to_ms(record.updated_at)),
        "transport": record.transport,
        "owner": record.owner,
        "ended_reason": record.ended_reason,
        "context": msgspec.json.encode(dict(record.context)).decode(),
        "resume_key": record.resume_key,
    }


def record_from(session_id: SessionId, fields: Mapping[bytes, bytes]) -> SessionRecord:
    """A record from the hash of :func:`record_fields`; a field that is missing has its default."""
    text = {name.decode(): value.decode() for name, value in fields.items()}
    return SessionRecord(
        id=session_id,
        agent=text.get("agent", ""),
        status="ended" if text.get("status") == "ended" else "live",
        created_at=from_ms(int(text.get("created_ms", 0))),
        updated_at=from_ms(int(text.get("updated_ms", 0))),
        transport=text.get("transport", ""),
        owner=text.get("owner", ""),
        ended_reason=text.get("ended_reason", ""),
        context=msgspec.json.decode(text.get("context", "{}"), type=dict[str, str]),
        resume_key=text.get("resume_key", ""),
    )


def from_ms(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def to_ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
