"""The pipeline's audio vocabulary: one sample format, one frame length.

Inside the pipeline audio is always mono signed 16-bit PCM. A *frame* is exactly 20 ms of it. Input frames are
16 kHz (what the speech engines want); output frames have the rate the transport asked for.
"""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

FRAME_MS = 20
"""Length of a frame: the packet time of RFC 3551 telephony and the natural frame of Opus (RFC 6716)."""

PIPELINE_RATE_HZ = 16_000
"""Sample rate of every input frame."""

Samples: TypeAlias = npt.NDArray[np.int16]
"""Mono PCM of any length: dtype int16, shape (n,)."""

Frame: TypeAlias = npt.NDArray[np.int16]
"""Mono PCM of exactly 20 ms: dtype int16, shape (rate_hz // 50,)."""


def frame_samples(rate_hz: int) -> int:
    """Samples in one frame at ``rate_hz``: 160 at 8 kHz, 320 at 16 kHz, 480 at 24 kHz."""
    return rate_hz * FRAME_MS // 1000


def duration_s(samples: int, rate_hz: int) -> float:
    """Length in seconds of ``samples`` samples at ``rate_hz``."""
    return samples / rate_hz
