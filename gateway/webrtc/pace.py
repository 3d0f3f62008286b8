"""How much audio was sent, against how much time has passed. Pure; time is an argument.

The first frame after silence does not wait for its tick (:meth:`gateway.metronome.Metronome.hurry`), so each reply
begins up to a packet early. RTP time runs by packets, and a peer plays them one after the other: without a
correction its buffer, and so the caller's wait, would grow with every reply. So the next packet of silence is left out.
"""

from typing import Final

PACKET_S: Final = 0.02
_EARLY_S: Final = PACKET_S / 2
_LATE_S: Final = 0.1
"""Further behind than this the clock was stopped: what was not sent then is never made up for."""


class Pace:
    """One stream's."""

    def __init__(self, now_s: float) -> None:
        self._covered_s = now_s
        """Until when what was sent lasts."""

    def silence_is_due(self, now_s: float) -> bool:
        """Whether a packet of silence has its place now."""
        return self._covered_s - now_s < _EARLY_S

    def sent(self, now_s: float) -> None:
        """One packet went out."""
        self._covered_s = max(self._covered_s, now_s - _LATE_S) + PACKET_S
