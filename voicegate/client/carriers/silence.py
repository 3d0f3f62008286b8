"""A carrier that sends nothing while its caller is silent. PURE."""

import numpy as np

from voicegate.kernel.audio import FRAME_MS, Frame

_SILENT = 40
"""Largest sample of a silent frame, below -58 dBFS: our choice."""


class SilenceGate:
    """Lets frames pass until ``after_ms`` of silence, and again from the first louder one on; None: always."""

    def __init__(self, after_ms: int | None) -> None:
        self._after_ms = after_ms
        self._silent_ms = 0

    def passes(self, frame: Frame) -> bool:
        silent = int(np.abs(frame.astype(np.int32)).max(initial=0)) <= _SILENT
        self._silent_ms = self._silent_ms + FRAME_MS if silent else 0
        return self._after_ms is None or self._silent_ms <= self._after_ms
