"""Telephone packets of all calls, decoded together.

A packet waits for those of other calls, the longer the more there are: with few calls until the event loop has read all
sockets that are readable, with many at most :data:`GATHER_S` from one decoding to the next. So the code and its tables
are fetched into the core's cache once for many (:func:`audiocodecs.telephony.decode_together`). Voice activity, which
works at the same pace, follows at once. Whatever is not a plain packet of 20 ms takes the way of its own.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import numpy as np

from audiocodecs.registry import StreamDecoder
from audiocodecs.telephony import Law, TelephonyDecoder, decode_together
from voicegate.kernel.audio import Frame

GATHER_S: Final = 0.008
_PATIENCE_A_PACKET_S: Final = 0.0003
"""Of waiting, for each packet that was decoded the last time."""
_ENOUGH: Final = 64
"""Streams that have something: more would make a piece of work so long that others notice."""
_MOST_AT_ONCE: Final = 32
"""More at once would not be cheaper: what is worked on should stay in the core's cache."""

Hear = Callable[[Frame, float], None]
"""Gets a frame and its power: the sum of its squared samples."""
_Round = list[tuple[TelephonyDecoder, bytes, Hear]]


class Intake:
    """One a process. Use from one event loop."""

    def __init__(self) -> None:
        self._rounds: list[_Round] = []
        """What waits. A stream has one packet in a round; where several came at once, the later ones are in later
        rounds, so that a loop that is late decodes in large batches too."""
        self._place: dict[TelephonyDecoder, int] = {}
        """How many packets of a stream wait."""
        self._loop = asyncio.get_running_loop()
        self._soon: asyncio.Handle | None = None
        self._next_at = 0.0

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
        if self._soon is None:
            ahead = self._next_at - self._loop.time()
            self._soon = self._loop.call_later(ahead, self.settle) if ahead > 0 else self._loop.call_soon(self.settle)
        elif place == 0 and len(self._place) == _ENOUGH:
            self._soon.cancel()
            self._soon = self._loop.call_soon(self.settle)
        return True

    def settle(self) -> None:
        """Decode now what waits."""
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        rounds, self._rounds = self._rounds, []
        self._next_at = self._loop.time() + min(GATHER_S, _PATIENCE_A_PACKET_S * len(self._place))
        self._place.clear()
        for each in rounds:
            for law in _LAWS:
                ours = [packet for packet in each if packet[0].law == law]
                for start in range(0, len(ours), _MOST_AT_ONCE):
                    _decode(law, ours[start : start + _MOST_AT_ONCE])


def _decode(law: Law, some: _Round) -> None:
    decoders, packets, hears = zip(*some, strict=True)
    frames = decode_together(law, decoders, packets) if len(some) > 1 else decoders[0].push(packets[0])[None]
    levels = frames.astype(np.float32)
    powers: list[float] = np.einsum("ij,ij->i", levels, levels).tolist()
    for hear, frame, power in zip(hears, frames, powers, strict=True):
        hear(frame, power)


_LAWS: Final[tuple[Law, ...]] = ("pcmu", "pcma")
