"""Latency read off recorded waveforms, and off nothing else. PURE.

Every measurement takes the two channels of a :class:`voicegate.client.tape.Tape` (or of its stereo file) and the known
clip. Where a clip is voiced is decided once on the clip alone: :mod:`voicegate.client.voiced` has the rules and their
reasons. Times are exact to 10 ms on the caller's side and to a sample on the agent's.
"""

from dataclasses import dataclass

import numpy as np

from voicegate.client.voiced import WINDOW_MS, answer_s, audible, voiced_span, voiced_windows
from voicegate.kernel.audio import Samples

SHORT_PAUSE_MS = 300
"""An utterance with an inner pause at least this long counts as one with a pause."""


@dataclass(frozen=True, slots=True)
class Voice:
    """Where on the tape a clip's voice lies."""

    first: int
    """The first voiced sample."""
    last: int
    """One past the last voiced sample."""


def voice_on_tape(clip: Samples, start: int, rate_hz: int) -> Voice:
    """``clip`` (mono int16 at ``rate_hz``) lies on the tape from sample ``start`` on.

    Raises:
        ValueError: nobody is heard in the clip.
    """
    span = voiced_span(clip, rate_hz)
    if span is None:
        raise ValueError("nobody is heard in this clip")
    return Voice(start + span[0], start + span[1])


def voice_to_voice_ms(agent: Samples, voice: Voice, rate_hz: int) -> float | None:
    """From the caller's last voiced sample to the agent's first voiced one after it; None if the agent stays silent.

    0 when the agent speaks already: whoever wants such turns left out asks :func:`talked_over` first.
    """
    seconds = answer_s(agent, voice.last, rate_hz)
    return None if seconds is None else seconds * 1000


def talked_over(agent: Samples, voice: Voice, rate_hz: int, *, settle_ms: float = 300.0) -> bool:
    """The agent was heard while the caller still spoke, from ``settle_ms`` after the caller's first voiced sample on.

    The beginning is left out: a caller who takes the floor speaks over the agent's last word on purpose.
    """
    begin = voice.first + round(settle_ms * rate_hz / 1000)
    return bool(np.any(audible(agent)[begin : voice.last]))


def barge_in_ms(agent: Samples, voice: Voice, rate_hz: int) -> float | None:
    """From the caller's first voiced sample to the agent's last voiced one while the caller speaks.

    None when the agent was silent all along; the length of the caller's voice when the agent never stopped.
    """
    found = np.flatnonzero(audible(agent)[voice.first : voice.last])
    return (int(found[-1]) + 1) * 1000 / rate_hz if found.size else None


def longest_pause_ms(clip: Samples, rate_hz: int) -> float:
    """The longest unvoiced stretch between two voiced windows of a clip; 0 if there is none."""
    found = np.flatnonzero(voiced_windows(clip, rate_hz))
    return float(np.max(np.diff(found) - 1, initial=0) * WINDOW_MS)


def spans_of_silence(agent: Samples, rate_hz: int, *, at_least_ms: float) -> list[tuple[int, int]]:
    """Stretches (first sample, one past the last) in which the agent is silent for ``at_least_ms``, in order.

    Silence before its first and after its last voiced sample does not count.
    """
    found = np.flatnonzero(audible(agent))
    gaps = np.flatnonzero(np.diff(found) > at_least_ms * rate_hz / 1000)
    return [(int(found[index]) + 1, int(found[index + 1])) for index in gaps]
