"""The jitter buffer: packets as the network brings them, audio as the sender spoke it. PURE.

A jitter buffer before a loudspeaker must never run dry, so it keeps a reserve, and stretches or squeezes audio to
change it. Ours feeds voice activity and speech to text. They have no clock that could run dry, so it keeps **no
reserve at all**: what is in order is due at once. What can delay audio is only a packet that was overtaken, and for
that one the buffer waits as long as the network has lately shown to be worth it (:mod:`gateway.webrtc.patience`).
It follows that

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
from typing import Final, NamedTuple, TypeAlias

from gateway.webrtc.counts import ReceiverCounts
from gateway.webrtc.patience import Patience

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

_MAX_DROPOUT: Final = 400
_MAX_MISORDER: Final = 100
"""Sequence numbers further away are a restart, not a gap (RFC 3550 A.1, which allows 3000 forward; ours is eight
seconds, because a restart loses no packet here and a gap is work)."""
_MAX_WAITING: Final = 64
_MISSED: Final = 32
"""Of a gap only the last ones may still come; the others are given up when it is seen."""
_FORGOTTEN_S: Final = 2.0
"""A missed packet that comes later than that is not recognised as late; its number may have come round again."""
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
    """The sender paused."""

    ticks: int


Due: TypeAlias = Play | Missing | Silence


class _Packet(NamedTuple):
    timestamp: int
    ticks: int
    payload: bytes
    arrived_s: float


class JitterBuffer:
    """One source's packets. Time is an argument and may be any clock that goes forward."""

    def __init__(self, counts: ReceiverCounts, now_s: float) -> None:
        self._counts = counts
        self._patience = Patience()
        self._ready: deque[Due] = deque()
        self._credit_s = CREDIT_S
        self._credited_at = now_s
        self._heard_at = now_s
        self._begin(None)

    def restart(self) -> None:
        """Another stream begins with the next packet. What is in order already stays due."""
        self._counts.restarts += 1
        self._begin(None)

    def _begin(self, sequence: int | None) -> None:
        """Nothing is known of the stream, but perhaps where it begins."""
        self._next = sequence
        self._end: int | None = None
        self._waiting: dict[int, _Packet] = {}
        self._missed: dict[int, float] = {}
        self._suspect: tuple[int, _Packet] | None = None
        self._lost_before = 0
        self._made = 0
        self._paused = False

    @property
    def patience_s(self) -> float:
        """How long a missing packet is waited for at present."""
        return self._patience.seconds

    def put(self, sequence: int, timestamp: int, ticks: int, payload: bytes, now_s: float) -> None:
        """A packet came: 16 and 32 bits as in its header, its length in ticks (0: no audio, only its place counts)."""
        packet = _Packet(timestamp, ticks, payload, now_s)
        if self._next is None:
            self._next = sequence
        ahead = (sequence - self._next + 0x8000 & 0xFFFF) - 0x8000
        if ahead == 0 and not self._waiting:
            self._heard_at = now_s
            self._patience.in_order()
            self._accept(packet)
        elif -_MAX_MISORDER <= ahead <= _MAX_DROPOUT:
            self._heard_at = now_s
            self._reorder(sequence, ahead, packet)
        else:
            self._maybe_restart(sequence, packet)

    def take(self, now_s: float) -> list[Due]:
        """What is due, oldest first. Call it at each tick and, to save half of one, after packets came."""
        if self._waiting:
            self._advance(now_s)
        ready = self._ready
        if not ready:
            self._make_silence(now_s)
        if len(ready) > MAX_TAKEN:
            return [ready.popleft() for _ in range(MAX_TAKEN)]
        due = list(ready)
        ready.clear()
        return due

    def _reorder(self, sequence: int, ahead: int, packet: _Packet) -> None:
        missed_at = self._missed.pop(sequence, None)
        if missed_at is not None:
            self._patience.came(packet.arrived_s - missed_at)
        elif ahead < 0 or sequence in self._waiting:
            self._counts.duplicated += 1
            return
        else:
            self._patience.in_order()
        if ahead < 0:
            self._counts.late += 1
            return
        self._miss_before(sequence, ahead, packet.arrived_s)
        self._waiting[sequence] = packet
        self._advance(packet.arrived_s)

    def _miss_before(self, sequence: int, ahead: int, now_s: float) -> None:
        """Note which packets before this newest one have not come."""
        missed = self._missed
        while missed:
            oldest = next(iter(missed))
            if len(missed) <= _MISSED and now_s - missed[oldest] < _FORGOTTEN_S:
                break
            del missed[oldest]
        for back in range(min(ahead, _MISSED), 0, -1):
            place = sequence - back & 0xFFFF
            if place not in self._waiting:
                missed.setdefault(place, now_s)

    def _advance(self, now_s: float) -> None:
        """Accept what is in order, and give up what was waited for long enough."""
        patience_s = self._patience.seconds
        while self._waiting:
            place = self._place
            packet = self._waiting.pop(place, None)
            if packet is not None:
                self._accept(packet)
                continue
            missed_at = self._missed.get(place)
            crowded = len(self._waiting) > _MAX_WAITING
            if missed_at is not None and now_s - missed_at < patience_s and not crowded:
                return
            self._counts.lost += 1
            self._lost_before += 1
            self._next = place + 1 & 0xFFFF

    def _accept(self, packet: _Packet) -> None:
        """The packet at the place that is next."""
        self._next = self._place + 1 & 0xFFFF
        self._suspect = None
        if not packet.ticks:
            return
        if not self._afford(packet.ticks, packet.arrived_s):
            self._counts.flooded += 1
            return
        if self._end is not None:
            self._fill(packet)
        self._ready.append(Play(packet.payload, packet.ticks, packet.arrived_s))
        self._end = packet.timestamp + packet.ticks & 0xFFFF_FFFF
        self._lost_before = self._made = 0
        self._paused = len(packet.payload) <= _PAUSE_BYTES

    def _fill(self, packet: _Packet) -> None:
        """What lies between the audio so far and this packet, less the silence that was made for it already."""
        assert self._end is not None
        gap = packet.timestamp - self._end & 0xFFFF_FFFF
        ticks = gap - self._made
        if gap > MAX_GAP_S * CLOCK_HZ or ticks <= 0 or not self._afford(ticks, packet.arrived_s):
            return
        # After silence there is nothing left to go on from: only what the second copy gives is not silence.
        lost = min(ticks, (1 if self._made and self._lost_before else self._lost_before) * packet.ticks)
        if ticks > lost:
            self._ready.append(Silence(ticks - lost))
        if lost:
            self._ready.append(Missing(lost, self._lost_before, packet.payload))

    def _maybe_restart(self, sequence: int, packet: _Packet) -> None:
        """Two in a row from far away are a sender that counts anew (RFC 3550 A.1); one is an accident."""
        suspect = self._suspect
        if suspect is None or sequence != suspect[0] + 1 & 0xFFFF:
            self._suspect = sequence, packet
            return
        self._counts.restarts += 1
        self._begin(suspect[0])
        self._heard_at = packet.arrived_s
        self._accept(suspect[1])
        self._accept(packet)

    def _make_silence(self, now_s: float) -> None:
        """Silence for the time in which nothing came."""
        quiet_s = now_s - self._heard_at - (PAUSE_S if self._paused else STALL_S)
        if quiet_s <= 0 or self._end is None or self._waiting:
            return
        owed = min(int(quiet_s * CLOCK_HZ), self._made + MAX_TAKEN * _SILENCE_TICKS)
        while self._made + _SILENCE_TICKS <= owed and self._afford(_SILENCE_TICKS, now_s):
            self._made += _SILENCE_TICKS
            self._ready.append(Silence(_SILENCE_TICKS))

    def _afford(self, ticks: int, now_s: float) -> bool:
        earned = self._credit_s + (now_s - self._credited_at) * _SPEED
        self._credited_at = now_s
        left = min(CREDIT_S, earned) - ticks / CLOCK_HZ
        self._credit_s = left if left >= 0 else min(CREDIT_S, earned)
        return left >= 0

    @property
    def _place(self) -> int:
        """The sequence number that is next, of a stream that has begun."""
        assert self._next is not None
        return self._next
