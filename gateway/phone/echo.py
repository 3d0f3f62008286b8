"""Self-echo: what comes back of our own voice from a caller's loudspeaker must not count as the caller speaking. PURE.

Both directions are laid on one clock of 20 ms frames, as power in sixteen bands of 200 Hz (300 to 3500 Hz, what a phone
passes). Over the last half a second the incoming bands are compared with those that were played, at every delay up
to 0.9 s. Where they agree, the delay and how loud each band comes back are learned. From then on each incoming frame is
held against what its echo would be: if nearly all of its power is explained, the frame is echo and becomes silence. A
caller who speaks over the echo brings power that is not explained, and is let through.

Until something is learned, frames that are loud while we speak wait for at most :data:`HELD_FRAMES` for the comparison;
a line that was quiet while we spoke for a while has no echo, and nothing waits any more.
"""

from collections import deque
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from voicegate.kernel.audio import FRAME_MS, PIPELINE_RATE_HZ, Frame, frame_samples

BANDS: Final = 16
_BINS_A_BAND: Final = 4
_FIRST_BIN: Final = 6
"""Bins are 50 Hz wide: a frame has 20 ms, at every rate."""
_WINDOW: Final = 25
"""Frames that are compared: half a second."""
_SETTLED: Final = 3
"""Frames in a row that must agree on a delay before it is believed."""
_DELAYS: Final = 50
"""Delays that are tried, in frames: up to 0.9 s, and a little before now."""
_LEAD: Final = 5
"""The first frames of a message that holds 100 ms are older than they look: the delay may seem to be negative."""
_LOOSE: Final = 12
"""Frames that the line's clock may be off ours before it is set again."""
_KEPT: Final = 128
"""Frames kept of each direction: above window and delays, and what may be played ahead."""
HELD_FRAMES: Final = 7
_VOICE_FRAMES: Final = 50
"""What was held and is no echo is a voice: it waits no more for a second."""
_QUIET: Final = 1e-6
"""Power of a frame, where a full-scale square wave has 1: -60 dBFS. Below it there is nothing to judge."""
QUIET_POWER: Final = _QUIET * frame_samples(PIPELINE_RATE_HZ) * 32768.0**2
"""The same for the sum of a frame's squared samples."""
_AGREE: Final = 0.82
"""Correlation above which the incoming frames are echo. Measured on read speech through mu-law: echo of 6 and of 20 dB
is above 0.83 in 99 frames of 100, another voice never above 0.80."""
_MARGIN: Final = 4.0
"""An echo may be so much louder than was learned: 6 dB."""
_EXPLAINED: Final = 0.75
"""Part of a frame's power that echo must explain."""
_STRANGE: Final = 2
"""Of three frames so many must not be explained before somebody speaks: one may be a crackle of the line."""
_TALK_FRAMES: Final = 10
"""A caller who speaks is let through for so long, past the moments that the echo covers."""
_LOOK_EVERY: Final = 5
"""How often a line that is known is compared again: every 100 ms of what is loud."""
_COMES_BACK: Final = 15
"""An echo has come back after so many frames; a line that is silent then has none."""
_AUDIBLE: Final = 1_000
"""Peak of a frame of ours that would be heard in its echo: -30 dBFS."""
_NEVER: Final = -(1 << 40)
_NO_ECHO_FRAMES: Final = 60
"""So many frames of ours were audible and nothing came back: the line has no echo."""

Bands = npt.NDArray[np.float32]


def bands(frames: npt.NDArray[np.int16]) -> Bands:
    """Power of 20 ms frames, of any rate, in :data:`BANDS` bands: (n, samples) to float32 of shape (n, 16)."""
    size = frames.shape[1]
    spectrum = np.fft.rfft(frames * _HANN[size], axis=1)[:, _FIRST_BIN : _FIRST_BIN + BANDS * _BINS_A_BAND]
    power = (spectrum.real**2 + spectrum.imag**2).reshape(len(frames), BANDS, _BINS_A_BAND).sum(axis=2)
    found: Bands = (power / (32768.0 * size / 2) ** 2).astype(np.float32)
    return found


_HANN: Final = {rate // 50: np.hanning(rate // 50).astype(np.float32) for rate in (8_000, 16_000, 24_000, 48_000)}


def power_of(frame: Frame) -> float:
    """The sum of a frame's squared samples."""
    samples = frame.astype(np.float32)
    return float(np.dot(samples, samples))


_SILENCE: Final = np.zeros(frame_samples(PIPELINE_RATE_HZ), np.int16)
_NOTHING: Final = np.zeros(BANDS, np.float32)


class EchoGate:
    """One call's. Time is in seconds on any clock that does not step back."""

    def __init__(self) -> None:
        self._frames: list[tuple[npt.NDArray[np.int16], int]] = [(_SILENCE[None], 0)] * _KEPT
        """Rows of what was said: cutting them out can wait until somebody looks at them."""
        self._played_at = [_NEVER] * _KEPT
        self._played: Bands | None = None
        """Bands of a slot's frame, once somebody had to look at one: a row each, and zeros behind them."""
        self._measured_at = [_NEVER] * _KEPT
        self._recent: deque[Bands] = deque([_NOTHING] * _WINDOW, maxlen=_WINDOW)
        self._held: list[Frame] = []
        self._delay: int | None = None
        self._gain = np.zeros(BANDS, np.float32)
        self._newest = self._index = _NEVER
        self._streak = self._candidate = 0
        self._strange = self._talking = self._turn = 0
        self._audible = self._known_voice = 0
        self.echoes = 0
        """Frames that were taken for echo."""

    # --- what we say ---

    def said(self, frames: npt.NDArray[np.int16], at_s: float) -> None:
        """``frames``, shape (n, samples of 20 ms), become audible one after the other from ``at_s`` on."""
        first = round(at_s * 1000 / FRAME_MS)
        for row, index in enumerate(range(first, first + len(frames))):
            slot = index % _KEPT
            self._frames[slot] = (frames, row)
            self._played_at[slot] = index
            self._measured_at[slot] = _NEVER
        self._newest = max(self._newest, first + len(frames) - 1)

    def stopped(self, at_s: float) -> None:
        """What would have become audible after ``at_s`` was dropped."""
        last = round(at_s * 1000 / FRAME_MS)
        self._played_at = [_NEVER if each > last else each for each in self._played_at]

    # --- what we hear ---

    def heard(self, frame: Frame, at_s: float, power: float | None = None) -> Sequence[Frame]:
        """The frames that go on now, in order: ``frame``, silence in its place, or nothing while it waits. ``power``:
        the sum of its squared samples, where it is known."""
        index = self._place(round(at_s * 1000 / FRAME_MS))
        if index > self._newest + _DELAYS + _WINDOW:
            return self._release(frame)  # we have been silent for a while: nothing can come back
        if (power_of(frame) if power is None else power) <= QUIET_POWER:
            self._recent.append(_NOTHING)
            if self._audible < _NO_ECHO_FRAMES:
                self._count_silence(index)
            return self._release(frame) if self._held else (frame,)
        incoming = bands(frame[None])[0]
        self._recent.append(incoming)
        return self._judge(frame, incoming, index)

    def is_known_quiet(self) -> bool:
        """A frame came whose power is at most :data:`QUIET_POWER`, and that is all there is to know of it: it goes on
        as it is. False: ask :meth:`heard`."""
        if self._held or self._audible < _NO_ECHO_FRAMES:
            return False
        self._index += 1
        self._recent.append(_NOTHING)
        return True

    def _judge(self, frame: Frame, incoming: Bands, index: int) -> Sequence[Frame]:
        self._turn += 1
        unsure = self._delay is None and self._audible < _NO_ECHO_FRAMES
        looks = unsure or 0 < self._streak < _SETTLED or self._turn % _LOOK_EVERY == 0
        if looks or self._delay is not None:
            played = self._before(index)
            if looks:
                self._learn(played)
            if self._delay is not None:
                return self._release(_SILENCE if self._is_echo(incoming, played) else frame)
        if not unsure or self._known_voice:
            self._known_voice = max(0, self._known_voice - 1)
            return self._release(frame)
        self._held.append(frame)
        if len(self._held) <= HELD_FRAMES:
            return ()
        self._known_voice = _VOICE_FRAMES
        return self._release()

    def _place(self, now: int) -> int:
        """Frames that came in one message lie one after the other, whenever it came."""
        following = self._index + 1
        self._index = following if abs(now - following) <= _LOOSE else now
        return self._index

    def _release(self, frame: Frame | None = None) -> Sequence[Frame]:
        if not self._held:
            return () if frame is None else (frame,)
        frames = self._held if frame is None else [*self._held, frame]
        self._held = []
        return frames

    def _before(self, index: int) -> Bands:
        """What was played, oldest first, from the longest delay's window on: shape (DELAYS + WINDOW - 1, 16)."""
        if self._played is None:
            self._played = np.zeros((_KEPT + 1, BANDS), np.float32)
        wanted = range(index - _DELAYS - _WINDOW + 2 + _LEAD, index + 1 + _LEAD)
        slots = [each % _KEPT if self._played_at[each % _KEPT] == each else _KEPT for each in wanted]
        fresh = [slot for slot in slots if slot < _KEPT and self._measured_at[slot] != self._played_at[slot]]
        if fresh:
            self._played[fresh] = bands(np.stack([self._said_in(slot) for slot in fresh]))
            for slot in fresh:
                self._measured_at[slot] = self._played_at[slot]
        found: Bands = self._played.take(slots, 0)
        return found

    def _said_in(self, slot: int) -> npt.NDArray[np.int16]:
        frames, row = self._frames[slot]
        found: npt.NDArray[np.int16] = frames[row]
        return found

    def _count_silence(self, index: int) -> None:
        """It is quiet. Where we have been audible for a while, nothing came back."""
        slot = (index - _COMES_BACK) % _KEPT
        if self._played_at[slot] == index - _COMES_BACK and np.abs(self._said_in(slot)).max() > _AUDIBLE:
            self._audible += 1

    def _learn(self, played: Bands) -> None:
        recent = np.stack(self._recent)
        agreement = _agreement(played, recent)
        best = int(agreement.argmax())
        delay = _DELAYS - 1 - best
        agrees = float(agreement[best]) >= _AGREE and (self._streak == 0 or abs(delay - self._candidate) <= 1)
        self._streak, self._candidate = (self._streak + 1 if agrees else 0), delay
        if self._streak < _SETTLED:
            return
        if self._delay is None:  # what waits is echo
            self.echoes += len(self._held)
            self._held = [_SILENCE] * len(self._held)
        gain = recent.sum(axis=0) / (played[best : best + _WINDOW].sum(axis=0) + 1e-9)
        near = self._delay is not None and abs(delay - self._delay) <= 2
        self._gain = (0.7 * self._gain + 0.3 * gain if near else gain).astype(np.float32)
        self._delay = delay

    def _is_echo(self, incoming: Bands, played: Bands) -> bool:
        assert self._delay is not None
        end = len(played) - self._delay
        likely = played[max(0, end - 3) : end + 1].max(axis=0) * self._gain * _MARGIN
        explained = float(np.minimum(incoming, likely).sum()) / float(incoming.sum())
        self._strange = ((self._strange << 1) | (explained < _EXPLAINED)) & 0b111
        if self._strange.bit_count() >= _STRANGE:
            self._talking = _TALK_FRAMES
        self._talking = max(0, self._talking - 1)
        self.echoes += self._talking == 0
        return self._talking == 0


def _agreement(played: Bands, recent: Bands) -> npt.NDArray[np.float64]:
    """Correlation of the compressed power of ``recent`` with that of every window of ``played``, the longest delay
    first: shape (DELAYS,)."""
    ours, theirs = np.sqrt(np.sqrt(played)), np.sqrt(np.sqrt(recent))
    theirs = theirs - theirs.mean()
    sums, squares = _windows_of(ours.sum(axis=1)), _windows_of(np.einsum("ij,ij->i", ours, ours))
    spread = squares - sums**2 / theirs.size
    products = np.ascontiguousarray(ours @ theirs.T)
    row, item = products.strides
    # Window d holds frames d to d + WINDOW - 1: its product with ours is a diagonal.
    together = np.ndarray((_DELAYS, _WINDOW), np.float32, products, 0, (row, row + item)).sum(axis=1)
    found: npt.NDArray[np.float64] = together / np.sqrt(np.maximum(spread * np.vdot(theirs, theirs), 1e-12))
    return found


def _windows_of(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Sum of every window's values: (DELAYS + WINDOW - 1,) to (DELAYS,)."""
    ends = np.cumsum(values, dtype=np.float64)
    ends[_WINDOW:] -= ends[:-_WINDOW].copy()
    sums: npt.NDArray[np.float64] = ends[_WINDOW - 1 :]
    return sums
