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


class Intake:
    """One a process. Use from one event loop."""

    def __init__(self) -> None:
        self._waiting: dict[TelephonyDecoder, tuple[bytes, Hear]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, decoder: StreamDecoder, data: bytes, hear: Hear) -> bool:
        """Decode ``data`` soon and give its frame (20 ms, 16 kHz mono int16) to ``hear``, which must not raise; False:
        it is no such packet, and nothing of its stream waits here any more."""
        if not isinstance(decoder, TelephonyDecoder):
            return False
        if decoder in self._waiting:
            self.settle()  # two packets of one stream: one after the other
        if not decoder.joins(data):
            return False
        self._waiting[decoder] = (data, hear)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(GATHER_S, self.settle)
        return True

    def settle(self) -> None:
        """Decode now what waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, {}
        for law in _LAWS:
            ours = [decoder for decoder in waiting if decoder.law == law]
            for start in range(0, len(ours), _MOST_AT_ONCE):
                some = ours[start : start + _MOST_AT_ONCE]
                packets = [waiting[decoder][0] for decoder in some]
                frames = decode_together(law, some, packets) if len(some) > 1 else [some[0].push(packets[0])]
                for decoder, frame in zip(some, frames, strict=True):
                    waiting[decoder][1](frame)


_LAWS: Final[tuple[Law, ...]] = ("pcmu", "pcma")
