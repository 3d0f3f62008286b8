"""Where in a waveform somebody is heard. PURE.

Level is the mean square of 10 ms windows in dB. Where noise follows or precedes a word, its border is a matter of
opinion; both borders here are the ones that make a gateway look *slower*:

* the last voiced window is within 25 dB of the loudest one: what is quieter is breath, room or hiss. In a hissing
  recording it is 10 dB above the recording's floor (its tenth percentile), but never less than 20 dB below the loudest.
  On clean speech this is within 50 ms of what trained voice activity detection says, mostly earlier;
* the first voiced window is within 40 dB of the loudest one, or 10 dB above the floor.

On an agent's channel, which is digital silence between replies, a sample is voiced within 40 dB of the channel's peak.
The numbers are our choice; 40 dB is also what the gateway counts as audible below full scale.
"""

import numpy as np
import numpy.typing as npt

from voicegate.kernel.audio import Samples

WINDOW_MS = 10
RANGE_DB = 40.0
"""Below the loudest, for the first voiced window and for an agent's samples."""
LAST_RANGE_DB = 25.0
"""Below the loudest, for the last voiced window."""
_ABOVE_FLOOR_DB = 10.0
_LAST_LEAST_DB, _FLOOR_MOST_DB = 20.0, -20.0
_QUIETEST_DB = 20.0
"""A waveform whose loudest window is below this (10 of 32768) holds nobody at all."""


def voiced_span(samples: Samples, rate_hz: int) -> tuple[int, int] | None:
    """The first voiced sample and one past the last, to the precision of a window; None if nobody is heard."""
    levels = _relative_levels_db(samples, rate_hz)
    if not levels.size:
        return None
    floor = min(float(np.percentile(levels, 10)), _FLOOR_MOST_DB)
    first = int(np.argmax(levels >= max(-RANGE_DB, floor + _ABOVE_FLOOR_DB)))
    last = int(np.flatnonzero(voiced_windows(samples, rate_hz))[-1])
    size = rate_hz * WINDOW_MS // 1000
    return first * size, (last + 1) * size


def voiced_windows(samples: Samples, rate_hz: int) -> npt.NDArray[np.bool_]:
    """Which 10 ms windows are voiced, by the stricter rule of the last one."""
    levels = _relative_levels_db(samples, rate_hz)
    if not levels.size:
        return np.zeros(0, np.bool_)
    limit = float(np.percentile(levels, 10)) + _ABOVE_FLOOR_DB
    voiced: npt.NDArray[np.bool_] = levels >= min(max(-LAST_RANGE_DB, limit), -_LAST_LEAST_DB)
    return voiced


def answer_s(agent: Samples, after: int, rate_hz: int) -> float | None:
    """Seconds from sample ``after`` to the first voiced sample of ``agent`` (a whole channel); None if none follows."""
    found = np.flatnonzero(audible(agent)[after:])
    return int(found[0]) / rate_hz if found.size else None


def audible(agent: Samples) -> npt.NDArray[np.bool_]:
    """Which samples of an agent's channel are voiced."""
    loudness = np.abs(agent.astype(np.int32))
    limit = max(int(loudness.max(initial=0)) * 10 ** (-RANGE_DB / 20), 1.0)
    loud: npt.NDArray[np.bool_] = loudness > limit
    return loud


def _relative_levels_db(samples: Samples, rate_hz: int) -> npt.NDArray[np.float64]:
    """Level of each whole window in dB over the loudest one; empty for silence."""
    size = rate_hz * WINDOW_MS // 1000
    whole = samples[: samples.size // size * size].astype(np.float64).reshape(-1, size)
    levels: npt.NDArray[np.float64] = 10 * np.log10(np.mean(whole**2, axis=1) + 1e-6)
    loudest = levels.max(initial=-60.0)
    return levels - loudest if loudest >= _QUIETEST_DB else np.empty(0)
