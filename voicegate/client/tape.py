"""Both sides of a call on one sample clock, as a person between them would have heard it. PURE.

The clock is the caller's: sample ``n`` happens ``n / rate_hz`` seconds after the call's origin.

* The caller's frame lies so that its *last* sample falls on the moment of sending: a microphone cannot send a frame
  before it ended. Frames are sent on an absolute 20 ms clock, so they join without gaps.
* The agent's audio begins ``jitter_ms`` after its arrival when nothing is playing, and follows without a gap while
  something is: what the jitter buffer of a real client does.
"""

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from audiocodecs.pcm import pcm_encode
from voicegate.kernel.audio import Samples

_SHORT_GAP_S = 0.2
"""A gap in the agent's audio below this is a glitch; a longer one may be a pause between two replies."""


@dataclass(frozen=True, slots=True)
class _Piece:
    start: int
    samples: Samples

    @property
    def end(self) -> int:
        return self.start + self.samples.size


class Tape:
    """Two channels of mono int16 at ``rate_hz``, growing with the call.

    ``origin`` is the moment of sample 0 and ``now`` any later one, in seconds on the same monotonic clock.
    """

    def __init__(self, rate_hz: int, origin: float, *, jitter_ms: float = 40.0) -> None:
        self.rate_hz = rate_hz
        self.glitches = 0
        """Times the agent's audio stopped for less than 200 ms: it came too late to be played in one piece."""
        self._origin = origin
        self._jitter = round(jitter_ms * rate_hz / 1000)
        self._caller: list[_Piece] = []
        self._agent: list[_Piece] = []

    def position(self, now: float) -> int:
        """The sample that happens at ``now``."""
        return round((now - self._origin) * self.rate_hz)

    def time_s(self, position: int) -> float:
        """Seconds from the origin to a sample."""
        return position / self.rate_hz

    def put_caller(self, sent: float, samples: Samples) -> int:
        """The caller's ``samples`` left at ``sent``; returns the position of the first of them."""
        start = self.position(sent) - samples.size
        self._caller.append(_Piece(start, samples))
        return start

    def put_agent(self, arrived: float, samples: Samples) -> int:
        """The agent's ``samples`` came at ``arrived``; returns the position at which they begin to play."""
        here, end = self.position(arrived), self.agent_end
        start = end if self._agent and end >= here else here + self._jitter
        if self._agent and 0 < start - end < _SHORT_GAP_S * self.rate_hz:
            self.glitches += 1
        self._agent.append(_Piece(start, samples))
        return start

    def drop_agent_after(self, now: float) -> None:
        """Forget the agent's audio that has not been played by ``now``: the reply was interrupted."""
        here = self.position(now)
        while self._agent and self._agent[-1].start >= here:
            self._agent.pop()
        if self._agent and self._agent[-1].end > here:
            last = self._agent.pop()
            self._agent.append(_Piece(last.start, last.samples[: here - last.start]))

    @property
    def agent_end(self) -> int:
        """One past the agent's last sample; 0 before there is one."""
        return self._agent[-1].end if self._agent else 0

    def playing(self, now: float) -> bool:
        """The agent's audio is not played to its end yet."""
        return self.agent_end > self.position(now)

    def caller(self, since: int = 0) -> Samples:
        """The caller's channel from sample ``since`` on: int16, shape (n,), as long as :meth:`agent`."""
        return _render(self._caller, since, self._length())

    def agent(self, since: int = 0) -> Samples:
        """The agent's channel from sample ``since`` on: int16, shape (n,), as long as :meth:`caller`."""
        return _render(self._agent, since, self._length())

    def wav(self) -> bytes:
        """A stereo WAV file, PCM16: the caller left, the agent right."""
        return stereo_wav(self.caller(), self.agent(), self.rate_hz)

    def _length(self) -> int:
        return max((piece.end for pieces in (self._caller, self._agent) for piece in pieces[-1:]), default=0)


def stereo_wav(left: Samples, right: Samples, rate_hz: int) -> bytes:
    """Two channels of equal length as a WAV file (RIFF, PCM16)."""
    both: npt.NDArray[np.int16] = np.stack([left, right], axis=1)
    body = pcm_encode(both.reshape(-1))
    form = struct.pack("<HHIIHH", 1, 2, rate_hz, 4 * rate_hz, 4, 16)
    head = struct.pack("<4sI4s4sI", b"RIFF", 36 + len(body), b"WAVE", b"fmt ", len(form))
    return head + form + struct.pack("<4sI", b"data", len(body)) + body


def _render(pieces: list[_Piece], since: int, length: int) -> Samples:
    channel = np.zeros(max(0, length - since), np.int16)
    for piece in reversed(pieces):
        if piece.end <= since:
            break
        skipped = max(0, since - piece.start)  # a message may hold audio from before the call's origin
        channel[piece.start + skipped - since : piece.end - since] = piece.samples[skipped:]
    return channel
