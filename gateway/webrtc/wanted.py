"""What a POST asks for beside its offer: which session, which agent, a resume. Pure.

A published WHIP client lets its user choose an address and a token, and nothing else: so agent, greeting and session
may stand in the query. The secret of a resume may not, because addresses end up in logs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.conversation import Resume
from gateway.websocket.protocol import MAX_AGENT_CHARACTERS, MAX_SECRET_CHARACTERS
from voicegate.kernel.errors import RefusedCall
from voicegate.kernel.ids import new_session_id

RESUME_SECRET: Final = "Voicegate-Resume-Secret"  # noqa: S105 - the header's name
LAST_SEQ: Final = "Voicegate-Last-Seq"


@dataclass(frozen=True, slots=True)
class Wanted:
    session_id: str
    agent: str
    greeting: bool
    resume: Resume | None


def read_wanted(query: Mapping[str, str], headers: Mapping[str, str]) -> Wanted:
    """Raises RefusedCall ``bad_request`` for what cannot be meant; unknown names are left to others."""
    agent, greeting = query.get("agent", ""), query.get("greeting", "true")
    if len(agent) > MAX_AGENT_CHARACTERS or greeting not in ("true", "false"):
        raise RefusedCall(
            "bad_request", f"agent has at most {MAX_AGENT_CHARACTERS} characters; greeting: true or false"
        )
    return Wanted(query.get("session") or new_session_id(), agent, greeting == "true", _resume(query, headers))


def _resume(query: Mapping[str, str], headers: Mapping[str, str]) -> Resume | None:
    secret = headers.get(RESUME_SECRET)
    if secret is None:
        return None
    last = headers.get(LAST_SEQ, "0")
    if not query.get("session") or not 1 <= len(secret) <= MAX_SECRET_CHARACTERS:
        raise RefusedCall("bad_request", "a resume names its session in the query, and the secret of session.welcome")
    if not (last.isascii() and last.isdecimal() and len(last) <= 15):
        raise RefusedCall("bad_request", f"{LAST_SEQ} is a number")
    return Resume(secret, int(last))
