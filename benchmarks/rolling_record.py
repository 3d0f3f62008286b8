"""What Redis has of a call, compared with what its client was told."""

import json
import sys
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from benchmarks.rolling_callers import Caller
from sessions.keys import PREFIX, session_keys
from sessions.transcript import decode_entry
from voicegate.kernel.events import decode


@dataclass(frozen=True, slots=True)
class Judged:
    """One call."""

    missing: int
    """Events that its client was told and Redis does not have so, and turns that are not in the transcript so."""
    gaps: int
    """Sequence numbers that its client never got, or got twice."""
    begun: int
    """Beginnings; a resumed one is none."""
    taken: int
    """Turns of what was typed or pressed."""
    answered: int
    """Of them, those whose answer was heard to its end."""


async def judge(caller: Caller, redis: Redis) -> Judged:
    """Read the call's record."""
    keys = session_keys(caller.session_id)
    entries: Any = await redis.xrange(keys.events)
    stored: dict[int, bytes] = {decode(fields[b"e"]).seq: fields[b"e"] for _, fields in entries}
    events = [json.loads(each) for each in stored.values()]
    told = [json.loads(text) for text in caller.texts if stored.get(json.loads(text)["seq"], b"").decode() != text]
    kept: Any = await redis.hvals(keys.transcript)
    said = {(entry.turn, entry.role): entry.text for entry in map(decode_entry, kept)}
    unsaid = [
        each for each in events if each["type"] == "turn.committed" and said.get((each["turn"], "user")) != each["text"]
    ]
    for what, found in (("told, but not stored so", told), ("committed, but not in the transcript so", unsaid)):
        for each in found:  # while Redis is away, clients are told what is not stored yet
            away = any('"state_away"' in text for text in caller.texts)
            print(f"{caller.kind} {caller.session_id}: {what} (state_away: {away}): {each}", file=sys.stderr)
    gaps = len(caller.seqs) - len(set(caller.seqs))
    gaps += (max(caller.seqs) - len(set(caller.seqs))) if caller.seqs else 0
    begun = sum(each["type"] == "session.started" and not each.get("resumed") for each in events)
    taken, answered = questions(events)
    return Judged(len(told) + len(unsaid), gaps, begun, len(taken), len(taken & answered))


def questions(events: list[dict[str, Any]]) -> tuple[set[int], set[int]]:
    """Turns of what was typed or pressed, and turns whose answer was heard to its end. Fillers are no answers."""
    taken, answered, kinds = set[int](), set[int](), dict[int, str]()
    for each in events:
        match each["type"]:
            case "turn.committed" if each.get("source") in ("text", "dtmf"):
                taken.add(each["turn"])
            case "reply.started":
                kinds[each["turn"]] = each.get("kind", "answer")
            case "reply.finished" if kinds.get(each["turn"]) == "answer":
                answered.add(each["turn"])
    return taken, answered


async def by_number(redis: Redis) -> dict[str, str]:
    """Session ids by the caller's number."""
    found = {}
    async for key in redis.scan_iter(match=f"{PREFIX}*"):
        name = key.decode().removeprefix(PREFIX)
        if ":" not in name:
            context = json.loads(await redis.hget(key, "context") or b"{}")
            found[context.get("caller", "")] = name
    return found
