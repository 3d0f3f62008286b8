"""Figures of right now, for Server-Sent Events (WHATWG HTML section 9.2)."""

import asyncio
import json
from collections.abc import AsyncIterator
from uuid import UUID

from control_api.analytics.recent import Figures, Recent
from voicegate.kernel.clock import Clock

EVERY_S = 1.0


async def figures(
    recent: Recent, organization_id: UUID, clock: Clock, longest_s: float, every_s: float = EVERY_S
) -> AsyncIterator[bytes]:
    """A message at once, and another every ``every_s``, for ``longest_s``: then the client comes back by itself, with a
    token that is still good. What it does not take, is not made."""
    began_s = clock.monotonic()
    yield b"retry: 1000\n\n"
    while True:
        yield _message(recent.figures(organization_id, clock.utc()), clock)
        left_s = longest_s - (clock.monotonic() - began_s)
        if left_s <= 0:
            return
        await asyncio.sleep(min(every_s, left_s))


def _message(found: Figures, clock: Clock) -> bytes:
    data = {
        "at": clock.utc().isoformat(),
        "calls": found.calls,
        "turnsPerMinute": found.turns_per_minute,
        "voiceToVoiceP50Ms": found.voice_to_voice_p50_ms,
        "voiceToVoiceP95Ms": found.voice_to_voice_p95_ms,
    }
    return b"event: figures\ndata: " + json.dumps(data).encode() + b"\n\n"
