"""Packets in the order in which they were sent, and what to believe about their numbers. PURE.

What can hold a packet back is only one before it that was overtaken. It is waited for as long as the network has lately
shown to be worth it (:mod:`gateway.webrtc.patience`), then it is lost, and late if it comes all the same.

One packet whose number is wrong must cost itself and no other. So a number is believed at once only where it is next,
fills a known hole, or leaves a small hole that its timestamp confirms; anything else waits for a neighbour from the
same place (as RFC 3550 appendix A.1 does for a source that begins anew), and what was held is not lost.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple, TypeAlias

from gateway.webrtc.counts import ReceiverCounts
from gateway.webrtc.patience import Patience

ANEW: Final = -1
"""In place of a number of lost packets: nothing connects this packet to those before it."""

_LEAP: Final = 16
"""Packets that may be missing before one that is believed at once."""
_OUTAGE: Final = 400
"""Packets that may be missing at all: eight seconds. From further away it is a restart, which is no work."""
_REMEMBERED: Final = 128
"""Numbers, back from the newest, of which is known whether they came."""
_NEIGHBOURS: Final = 8
_PROOF: Final = 2
_PROOF_OF_OLD: Final = 5
"""Packets that must agree; more where they may be stragglers of a path that was given up."""
_MAX_WAITING: Final = 64
_MISSED: Final = 32
"""Of a hole only the last ones may still come; the others are given up when it is seen."""
_FORGOTTEN_S: Final = 2.0
_MASK: Final = (1 << _REMEMBERED) - 1


class Packet(NamedTuple):
    """One packet of a source."""

    number: int
    """The sequence number, not wrapped round."""
    timestamp: int
    ticks: int
    """Length of its audio; 0: no audio, only its place counts."""
    payload: bytes
    arrived_s: float


Ordered: TypeAlias = Sequence[tuple[Packet, int]]
"""Packets in order, each with the number of packets before it that were lost, or :data:`ANEW`."""


class Reordering:
    """One source's packets, by number."""

    def __init__(self, counts: ReceiverCounts) -> None:
        self.patience = Patience()
        self._counts = counts
        self.begin_anew()

    def begin_anew(self) -> None:
        """The next packet begins another stream. What waited is forgotten."""
        self._newest: int | None = None
        self._end = 0
        """Timestamp at the end of the newest packet ..."""
        self._ticks = 0
        """... and its length."""
        self._next = 0
        self._seen = 0
        """A bit for each number back from the newest: it came."""
        self._waiting: dict[int, Packet] = {}
        self._missed: dict[int, float] = {}
        """When it was noticed that a packet is missing; kept a while after it was given up."""
        self._doubtful: list[Packet] = []
        self._lost = 0

    @property
    def waiting(self) -> bool:
        """Packets are held back by one that is missing."""
        return bool(self._waiting)

    def put(self, sequence: int, timestamp: int, ticks: int, payload: bytes, now_s: float) -> Ordered:
        """A packet came, with 16 and 32 bits as in its header. What is in order now."""
        newest = self._newest
        if newest is None:
            return self._first(Packet(sequence, timestamp, ticks, payload, now_s))
        step = (sequence - newest + 0x8000 & 0xFFFF) - 0x8000
        packet = Packet(newest + step, timestamp, ticks, payload, now_s)
        if step == 1 or (1 < step <= _LEAP and self._plausible(step, packet)):
            return self._newer(step, packet)
        if -_REMEMBERED < step <= 0:
            if self._seen >> -step & 1:
                self._counts.duplicated += 1
                return ()
            if packet.number in self._missed:
                return self._missing_one(packet, -step)
        return self._doubt(step, packet)

    def advance(self, now_s: float) -> Ordered:
        """What is in order at ``now_s``, with what was waited for long enough given up."""
        due: list[tuple[Packet, int]] = []
        patience_s = self.patience.seconds
        while self._waiting:
            packet = self._waiting.pop(self._next, None)
            if packet is not None:
                due.append((packet, self._lost))
                self._lost = 0
            else:
                missed_at = self._missed.get(self._next)
                hopeless = missed_at is None or now_s - missed_at >= patience_s
                if not hopeless and len(self._waiting) <= _MAX_WAITING:
                    break
                self._counts.lost += 1
                self._lost += 1
            self._next += 1
        return due

    def _first(self, packet: Packet) -> Ordered:
        self._newest = packet.number
        self._next = packet.number + 1
        self._end, self._ticks = packet.timestamp + packet.ticks & 0xFFFF_FFFF, packet.ticks
        self._seen = 1
        return ((packet, ANEW),)

    def _newer(self, step: int, packet: Packet) -> Ordered:
        """A packet behind all others, ``step`` places."""
        if step > 1:
            self._miss(packet.number - step + 1, packet.number, packet.arrived_s)
        self._newest = packet.number
        self._seen = (self._seen << step | 1) & _MASK
        if packet.ticks:
            self._end, self._ticks = packet.timestamp + packet.ticks & 0xFFFF_FFFF, packet.ticks
        self.patience.in_order()
        if self._doubtful:
            self._doubtful.clear()
        if packet.number == self._next:
            self._next += 1
            return ((packet, 0),)
        self._waiting[packet.number] = packet
        return self.advance(packet.arrived_s)

    def _plausible(self, step: int, packet: Packet) -> bool:
        """The timestamp leaves room for the packets that are missing: more than half of it, as lengths may change."""
        gap = packet.timestamp - self._end & 0xFFFF_FFFF
        return not packet.ticks or (step - 1) * self._ticks < 2 * gap < 1 << 32

    def _missing_one(self, packet: Packet, back: int) -> Ordered:
        """A packet that was missed, ``back`` places before the newest."""
        self.patience.came(packet.arrived_s - self._missed.pop(packet.number))
        self._seen |= 1 << back
        if packet.number < self._next:
            self._counts.late += 1
            return ()
        self._waiting[packet.number] = packet
        return self.advance(packet.arrived_s)

    def _miss(self, begin: int, end: int, now_s: float) -> None:
        """The packets from ``begin`` to before ``end`` have not come; forget those that nobody asks for any more."""
        missed = self._missed
        for number in range(max(begin, end - _MISSED), end):
            missed[number] = now_s
        while len(missed) > 2 * _MISSED or now_s - missed[next(iter(missed))] > _FORGOTTEN_S:
            del missed[next(iter(missed))]

    def _doubt(self, step: int, packet: Packet) -> Ordered:
        """A number that cannot be believed alone."""
        held = self._doubtful
        if held and not 0 < abs(packet.number - held[-1].number) <= _NEIGHBOURS:
            held.clear()
        held.append(packet)
        if len(held) < (_PROOF_OF_OLD if -_REMEMBERED < step <= 0 else _PROOF):
            return ()
        return self._believe(step - (packet.number - min(held).number), sorted(held))

    def _believe(self, step: int, held: Sequence[Packet]) -> Ordered:
        """An outage before these packets, the first of which is ``step`` places behind the newest; or a restart."""
        first, *others = held
        if 0 < step <= _OUTAGE and self._plausible(step, first):
            due = list(self._newer(step, first))
        else:
            self._counts.restarts += 1
            self.begin_anew()
            due = list(self._first(first._replace(number=first.number & 0xFFFF)))
        for each in others:
            due += self.put(each.number & 0xFFFF, *each[1:])
        return due
