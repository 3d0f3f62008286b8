"""The jitter buffer: packets as the network brings them, audio as the sender spoke it. PURE.

A jitter buffer before a loudspeaker must never run dry, so it keeps a reserve, and stretches or squeezes audio to
change it. Ours feeds voice activity and speech to text. They have no clock that could run dry, so it keeps **no
reserve at all**: what is in order (:mod:`gateway.webrtc.reordering`) is due at once. It follows that

* the delay is what the network adds, and falls back with the packet that ends a stall: nothing is left to be forgotten,
* no audio is ever stretched or cut, so speech to text hears what was said,
* the sender's clock is the only clock, and a drift of it is of no importance.

Order is by sequence number, lengths are by timestamp (RFC 3550 §5.1): a gap in the timestamps alone is a pause of the
sender (discontinuous transmission, RFC 7587 §3.1.3), not a loss. As endpointing needs to hear silence while it lasts,
the buffer makes it as time goes by: at once when the newest packet announced a pause, and after :data:`STALL_S` when
the network just went quiet. When audio comes back it is never dropped for the silence that stood in for it.

What a hostile peer may ask for is bounded: audio comes out at most as fast as it is spoken, and :data:`CREDIT_S` more.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final, TypeAlias

from gateway.webrtc.counts import ReceiverCounts
from gateway.webrtc.reordering import ANEW, Packet, Reordering

CLOCK_HZ: Final = 48_000
"""Of RTP timestamps for Opus (RFC 7587 §4.1). A tick is one of its units."""

STALL_S: Final = 0.5
"""Nothing came for so long: silence, so that the turn can end. Our choice: what a shorter stall holds up arrives late,
but whole."""
PAUSE_S: Final = 0.06
"""The same after a packet that announced a pause: three packets of doubt."""
MAX_GAP_S: Final = 2.0
"""A longer gap is not filled: whoever was away that long is taken to begin anew."""
CREDIT_S: Final = 4.0
"""By how much audio may come faster than it is spoken: a stall of the network that ends with everything at once."""
MAX_TAKEN: Final = 16
"""Packets a call of :meth:`JitterBuffer.take` gives, so that a burst after a stall does not hold up other calls."""

_LOOKING_S: Final = 0.1
"""Between two calls of :meth:`JitterBuffer.take`; longer, and this process stood still itself."""
_SILENCE_TICKS: Final = CLOCK_HZ // 50
_PAUSE_BYTES: Final = 2
_SPEED: Final = 1.02
"""Refill of the credit, in seconds a second: above any drift."""


@dataclass(frozen=True, slots=True)
class Play:
    """Decode this packet."""

    payload: bytes
    ticks: int
    arrived_s: float


@dataclass(frozen=True, slots=True)
class Missing:
    """``packets`` packets were lost here; conceal them. ``following`` is the packet after them, which comes next as
    :class:`Play` and may hold a second copy of the last lost one."""

    ticks: int
    packets: int
    following: bytes


@dataclass(frozen=True, slots=True)
class Silence:
    """The sender paused, or nothing came."""

    ticks: int


Due: TypeAlias = Play | Missing | Silence


class JitterBuffer:
    """One source's packets. Time is an argument and may be any clock that goes forward."""

    def __init__(self, counts: ReceiverCounts, now_s: float) -> None:
        self._counts = counts
        self._order = Reordering(counts)
        self._ready: deque[Due] = deque()
        self._credit_s = CREDIT_S
        self._credited_at = now_s
        self._heard_at = self._asked_at = now_s
        self._end: int | None = None
        """Timestamp at the end of the audio so far ..."""
        self._ended_at = now_s
        """... and when that came."""
        self._lost = 0
        self._made = 0
        """Silence since then, made in ticks."""
        self._paused = False

    def restart(self) -> None:
        """Another stream begins with the next packet. What is in order already stays due."""
        self._counts.restarts += 1
        self._order.begin_anew()

    @property
    def patience_s(self) -> float:
        """How long a missing packet is waited for at present."""
        return self._order.patience.seconds

    def put(self, sequence: int, timestamp: int, ticks: int, payload: bytes, now_s: float) -> None:
        """A packet came: 16 and 32 bits as in its header, its length in ticks (0: no audio, only its place counts)."""
        self._heard_at = now_s
        for packet, lost in self._order.put(sequence, timestamp, ticks, payload, now_s):
            self._accept(packet, lost)

    def take(self, now_s: float) -> list[Due]:
        """What is due, oldest first. Call it at each tick and, to save half of one, after packets came."""
        if self._order.waiting:
            for packet, lost in self._order.advance(now_s):
                self._accept(packet, lost)
        # While nobody looked packets may have come: they wait in a socket, and that was no silence.
        self._heard_at = min(now_s, self._heard_at + max(0.0, now_s - self._asked_at - _LOOKING_S))
        self._asked_at = now_s
        ready = self._ready
        if not ready:
            self._make_silence(now_s)
        if len(ready) > MAX_TAKEN:
            return [ready.popleft() for _ in range(MAX_TAKEN)]
        due = list(ready)
        ready.clear()
        return due

    def _accept(self, packet: Packet, lost: int) -> None:
        """The packet that is next, after ``lost`` ones."""
        if lost == ANEW:
            self._end, self._lost = None, 0
        else:
            self._lost += lost
        if not packet.ticks:
            return
        if not self._afford(packet.ticks, packet.arrived_s):
            self._counts.flooded += 1
            return
        if self._end is not None:
            self._fill(packet, self._end)
        self._ready.append(Play(packet.payload, packet.ticks, packet.arrived_s))
        self._end, self._ended_at = packet.timestamp + packet.ticks & 0xFFFF_FFFF, packet.arrived_s
        self._lost = self._made = 0
        self._paused = len(packet.payload) <= _PAUSE_BYTES

    def _fill(self, packet: Packet, end: int) -> None:
        """What lies between the audio so far and this packet, less the silence that was made for it already."""
        gap = packet.timestamp - end & 0xFFFF_FFFF
        ticks = gap - self._made
        if gap > MAX_GAP_S * CLOCK_HZ or ticks <= 0:
            return
        lost = min(ticks, self._lost * packet.ticks)
        # A pause takes time. A timestamp that says otherwise is wrong, or the network has held the packets up.
        paused = min(ticks - lost, int((packet.arrived_s - self._ended_at) * CLOCK_HZ))
        if self._made and lost:  # there is nothing left to go on from; only a second copy is not silence
            paused, lost = paused + lost - packet.ticks, packet.ticks
        if not self._afford(paused + lost, packet.arrived_s):
            return
        if paused > 0:
            self._ready.append(Silence(paused))
        if lost:
            self._ready.append(Missing(lost, self._lost, packet.payload))

    def _make_silence(self, now_s: float) -> None:
        """Silence for the time in which nothing came."""
        quiet_s = now_s - self._heard_at - (PAUSE_S if self._paused else STALL_S)
        if quiet_s <= 0 or self._end is None or self._order.waiting:
            return
        owed = min(round(quiet_s * CLOCK_HZ), self._made + MAX_TAKEN * _SILENCE_TICKS)
        while self._made + _SILENCE_TICKS <= owed and self._afford(_SILENCE_TICKS, now_s):
            self._made += _SILENCE_TICKS
            self._ready.append(Silence(_SILENCE_TICKS))

    def _afford(self, ticks: int, now_s: float) -> bool:
        earned = min(CREDIT_S, self._credit_s + (now_s - self._credited_at) * _SPEED)
        self._credited_at = now_s
        left = earned - ticks / CLOCK_HZ
        self._credit_s = left if left >= 0 else earned
        return left >= 0
