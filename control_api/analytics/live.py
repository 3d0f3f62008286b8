"""Figures of right now, for Server-Sent Events (WHATWG HTML section 9.2)."""

import asyncio
import json
from collections.abc import AsyncIterator
from uuid import UUID

from control_api.analytics.recent import Figures, Recent
from voicegate.kernel.clock import Clock

EVERY_S = 1.0
_LONGEST_S = 3600.0
"""A stream ends by itself after so long; the client comes back, with a fresh token."""


async def figures(
    recent: Recent, organization_id: UUID, clock: Clock, every_s: float = EVERY_S
) -> AsyncIterator[bytes]:
    """A message at once, and another every ``every_s``. What the client does not take, is not made."""
    began_s = clock.monotonic()
    yield b"retry: 1000\n\n"
    while clock.monotonic() - began_s < _LONGEST_S:
        yield _message(recent.figures(organization_id, clock.utc()), clock)
        await asyncio.sleep(every_s)


def _message(found: Figures, clock: Clock) -> bytes:
    data = {
        "at": clock.utc().isoformat(),
        "calls": found.calls,
        "turnsPerMinute": found.turns_per_minute,
        "voiceToVoiceP50Ms": found.voice_to_voice_p50_ms,
        "voiceToVoiceP95Ms": found.voice_to_voice_p95_ms,
    }
    return b"event: figures\ndata: " + json.dumps(data).encode() + b"\n\n"
