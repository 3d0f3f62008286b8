"""Telephone packets of all calls, decoded a few milliseconds' worth at a time.

A packet waits at most :data:`GATHER_S` for those of other calls, and is decoded with them
(:func:`audiocodecs.telephony.decode_together`). Whatever is not a plain packet of 20 ms takes the way of its own.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from audiocodecs.registry import StreamDecoder
from audiocodecs.telephony import Law, TelephonyDecoder, decode_together
from voicegate.kernel.audio import Frame

GATHER_S: Final = 0.004
_MOST_AT_ONCE: Final = 32
"""More at once would not be cheaper: what is worked on should stay in the core's cache."""

Hear = Callable[[Frame], None]
_Round = list[tuple[TelephonyDecoder, bytes, Hear]]


class Intake:
    """One a process. Use from one event loop."""

    def __init__(self) -> None:
        self._rounds: list[_Round] = []
        """What waits. A stream has one packet in a round; where several came at once, the later ones are in later
        rounds, so that a loop that is late decodes in large batches too."""
        self._place: dict[TelephonyDecoder, int] = {}
        """How many packets of a stream wait."""
        self._timer: asyncio.TimerHandle | None = None

    def add(self, decoder: StreamDecoder, data: bytes, hear: Hear) -> bool:
        """Decode ``data`` soon and give its frame (20 ms, 16 kHz mono int16) to ``hear``, which must not raise; False:
        it is no such packet, and nothing of its stream waits here any more."""
        if not isinstance(decoder, TelephonyDecoder):
            return False
        place = self._place.get(decoder, 0)
        if not decoder.joins(data):
            if place:
                self.settle()
            return False
        if place == len(self._rounds):
            self._rounds.append([])
        self._rounds[place].append((decoder, data, hear))
        self._place[decoder] = place + 1
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(GATHER_S, self.settle)
        return True

    def settle(self) -> None:
        """Decode now what waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        rounds, self._rounds = self._rounds, []
        self._place.clear()
        for each in rounds:
            for law in _LAWS:
                ours = [packet for packet in each if packet[0].law == law]
                for start in range(0, len(ours), _MOST_AT_ONCE):
                    _decode(law, ours[start : start + _MOST_AT_ONCE])


def _decode(law: Law, some: _Round) -> None:
    if len(some) == 1:
        decoder, data, hear = some[0]
        hear(decoder.push(data))
        return
    decoders, packets, hears = zip(*some, strict=True)
    for hear, frame in zip(hears, decode_together(law, decoders, packets), strict=True):
        hear(frame)


_LAWS: Final[tuple[Law, ...]] = ("pcmu", "pcma")
