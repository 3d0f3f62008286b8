"""When what happened in a turn: the stage breakdown of its voice-to-voice time. PURE.

All times are seconds on the driver's monotonic clock.
"""

from dataclasses import dataclass

_AT_ONCE_S = 0.005
"""A turn committed this soon after its text came was waiting for the text, not for more silence."""


@dataclass(slots=True)
class TurnStamps:
    """Filled in as the turn goes on; complete once the first voiced sample of the reply has left."""

    last_voiced: float
    """The caller's last voiced sample arrived."""
    silence_seen: float
    """Voice activity saw that speech had stopped."""
    transcribed: float = 0.0
    """The settled text came."""
    committed: float = 0.0
    first_token: float = 0.0
    first_audio: float = 0.0

    def parts_ms(self, first_voiced_out: float) -> dict[str, float]:
        """The parts in the order of the :class:`~voicegate.kernel.events.Latency` fields; they add up to the whole.

        A stage that ran in the shadow of an earlier one counts 0.
        """
        shadow = self.committed - self.transcribed > _AT_ONCE_S
        endpointing_end = self.committed if shadow else self.silence_seen
        ends = {"endpointing_ms": endpointing_end, "stt_ms": self.committed}
        ends |= {"agent_ms": self.first_token, "tts_ms": self.first_audio, "playout_ms": first_voiced_out}
        parts = {"voice_to_voice_ms": _ms(first_voiced_out - self.last_voiced)}
        reached = self.last_voiced
        for name, end in ends.items():
            end = min(end, first_voiced_out)
            parts[name] = _ms(max(0.0, end - reached))
            reached = max(reached, end)
        return parts


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)
