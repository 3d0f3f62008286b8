"""Every WebSocket close code of the gateway: one table, which ``docs/protocols.md`` repeats word for word.

Codes below 3000 have the meaning of RFC 6455 section 7.4.1 and of its registry. Codes of our own are 4000 plus the HTTP
status whose meaning is nearest (our choice, because it can be remembered).
"""

from dataclasses import dataclass
from enum import IntEnum


class CloseCode(IntEnum):
    """The codes, by the name that logs and metrics use in lower case."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    WRONG_KIND = 1003
    BAD_PAYLOAD = 1007
    POLICY = 1008
    TOO_BIG = 1009
    INTERNAL = 1011
    TRY_AGAIN = 1013
    BAD_MESSAGE = 4400
    UNAUTHORIZED = 4401
    NO_CREDITS = 4402
    FORBIDDEN = 4403
    START_TIMEOUT = 4408
    TAKEN_OVER = 4409
    GONE = 4410
    AUDIO_TOO_LONG = 4413
    TOO_FAST = 4429
    SESSION_TIME = 4440
    TOO_SLOW = 4490


@dataclass(frozen=True, slots=True)
class CloseMeaning:
    """One row of the table."""

    code: CloseCode
    meaning: str
    client: str
    """What the client should do."""

    @property
    def name(self) -> str:
        return self.code.name.lower()


CLOSE_TABLE: tuple[CloseMeaning, ...] = (
    CloseMeaning(CloseCode.NORMAL, "The call is over; the reason says who ended it.", "Nothing."),
    CloseMeaning(
        CloseCode.GOING_AWAY,
        "This process shuts down or restarts; the call is kept for its resume window.",
        "Reconnect after a second with `session.resume`.",
    ),
    CloseMeaning(
        CloseCode.PROTOCOL_ERROR,
        "Bytes that are not WebSocket frames (RFC 6455).",
        "Mend the client's library.",
    ),
    CloseMeaning(
        CloseCode.WRONG_KIND,
        "A text message in the simple profile, which takes binary messages only.",
        "Send audio only, or ask for the subprotocol `voice.v1`.",
    ),
    CloseMeaning(
        CloseCode.BAD_PAYLOAD,
        "Text that is not UTF-8 or not a JSON object with a `type`, or bytes that are not the audio they claim to be.",
        "Mend the message; the reason names what is wrong.",
    ),
    CloseMeaning(
        CloseCode.POLICY,
        "A phone stream that may not begin or go on: no token, one that was used, is stale or belongs to another call, "
        "or messages against the carrier's protocol.",
        "Answer the call's webhook again; the reason says what was wrong.",
    ),
    CloseMeaning(CloseCode.TOO_BIG, "A message above the size limit.", "Send smaller messages (see Limits)."),
    CloseMeaning(CloseCode.INTERNAL, "A fault of ours; it is in our log.", "Reconnect with `session.resume`."),
    CloseMeaning(
        CloseCode.TRY_AGAIN,
        "No call can be taken now: the process is full, or the state store is away.",
        "Try again after some seconds, each time twice as many.",
    ),
    CloseMeaning(
        CloseCode.BAD_MESSAGE,
        "A known message with missing, unknown or wrong fields, or too many refused messages.",
        "Mend the message; the reason names the field.",
    ),
    CloseMeaning(
        CloseCode.UNAUTHORIZED,
        "The resume secret is wrong, or the session id belongs to a call that has a socket.",
        "Begin a new call under a new session id.",
    ),
    CloseMeaning(
        CloseCode.NO_CREDITS,
        "The agent's organisation has not enough credits for a call.",
        "Nothing, until credits have come in.",
    ),
    CloseMeaning(
        CloseCode.FORBIDDEN,
        "The token does not allow what was asked, for example this agent.",
        "Ask for another token.",
    ),
    CloseMeaning(
        CloseCode.START_TIMEOUT,
        "Nothing was sent after connecting.",
        "Send `session.start`, `session.resume` or audio at once.",
    ),
    CloseMeaning(
        CloseCode.TAKEN_OVER, "Another connection resumed this call.", "Nothing: the newer connection has the call."
    ),
    CloseMeaning(
        CloseCode.GONE, "There is nothing to resume: the call ended, or its record has expired.", "Begin a new call."
    ),
    CloseMeaning(
        CloseCode.AUDIO_TOO_LONG, "An uploaded file lasts longer than the limit.", "Upload shorter files, or stream."
    ),
    CloseMeaning(
        CloseCode.TOO_FAST,
        "Audio or messages came faster than the sustained limit.",
        "Send audio in real time; reconnect with `session.resume`.",
    ),
    CloseMeaning(CloseCode.SESSION_TIME, "The call reached the longest time a call may last.", "Begin a new call."),
    CloseMeaning(
        CloseCode.TOO_SLOW,
        "The client did not read: nothing left our buffers for several seconds.",
        "Read all the time; reconnect with `session.resume`.",
    ),
)


def close_table_markdown() -> str:
    """The table as it stands in ``docs/protocols.md``."""
    rows = [f"| {row.code.value} | `{row.name}` | {row.meaning} | {row.client} |" for row in CLOSE_TABLE]
    return "\n".join(["| code | name | meaning | what the client should do |", "|---|---|---|---|", *rows])
