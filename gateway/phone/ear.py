"""What has become audible at a peer that buffers. PURE: time is an argument.

Three things bound it: what was sent; the wall clock since the first frame, because nobody plays faster than real time;
and the marks. A mark that came back proves what lies before it, and the next one that has not come back bounds what
lies behind it. Between two marks the ear moves with the clock. How much later than our clock the peer plays is learned
from the marks, so that the first moments of a reply, which no mark proves yet, are judged right too.

Positions are samples at the rate of what is sent, since the last :meth:`Ear.cleared`.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

AHEAD_MS: Final = 200
"""Audio that a peer may get ahead of real time: enough for the jitter of a line. Longer where
packets are long (:mod:`gateway.phone.mouth`)."""
MARK_EVERY_MS: Final = 200
"""Audio between two marks (our choice: a short word)."""
_OVERDUE_S: Final = 2.0
"""A mark that is this late will not come: then the clock alone counts, until one comes again."""
_MOST_LAG_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class _Base:
    """At ``at_s`` the ear was, or will be, at ``position``."""

    position: int
    at_s: float


class Ear:
    """One connection's account with its peer."""

    def __init__(self, rate_hz: int, *, has_marks: bool, ahead_ms: int = AHEAD_MS) -> None:
        self._rate = rate_hz
        self._ahead = ahead_ms * rate_hz // 1000
        self._mark_every = MARK_EVERY_MS * rate_hz // 1000
        self._has_marks = has_marks
        self._believed = has_marks
        self._lag_s = 0.0
        self._names = 0
        self._forget()

    def _forget(self) -> None:
        self._sent = 0
        self._marked = 0
        self._credited = 0
        self._heard = 0
        self._marks: deque[tuple[str, int]] = deque()
        self._padding: deque[tuple[int, int]] = deque()
        self._passed = 0
        self._first: _Base | None = None
        self._base = _Base(0, 0.0)

    # --- sending ---

    def room(self, now: float) -> int:
        """Samples that may be sent now, so that the peer is not too far ahead of real time."""
        return self._ahead - (self._sent - self._by_clock(now))

    def room_at(self, samples: int) -> float:
        """When :meth:`room` will be so large."""
        if self._first is None:
            return 0.0
        played = self._sent + samples - self._ahead - self._first.position
        return self._first.at_s + (played - 0.5) / self._rate

    def plays_at(self, now: float) -> float:
        """When what is sent next would begin at a peer that has no lag."""
        if self._first is None or self._by_clock(now) >= self._sent:
            return now
        return self._first.at_s + (self._sent - self._first.position) / self._rate

    def sent(self, samples: int, now: float, *, padding: int = 0) -> None:
        """``samples`` left, the last ``padding`` of which are silence that belongs to no reply."""
        if self._first is None or self._by_clock(now) >= self._sent:
            # The peer has run dry, or is about to: what comes now begins when it arrives.
            over = self._base.at_s + (self._sent - self._base.position) / self._rate
            self._first = _Base(self._sent, now)
            self._base = _Base(self._sent, max(now + self._lag_s, over) if self._sent else now + self._lag_s)
        self._sent += samples
        if padding:
            self._padding.append((self._sent - padding, padding))

    def mark(self, *, now_or_never: bool) -> str | None:
        """The name of a mark to send behind what was sent, if one is due; ``now_or_never``: a phrase ends here."""
        unmarked = self._sent - self._marked
        if not self._has_marks or not unmarked or (unmarked < self._mark_every and not now_or_never):
            return None
        self._names += 1
        self._marked = self._sent
        name = f"m{self._names}"
        self._marks.append((name, self._sent))
        return name

    # --- what the peer says ---

    def returned(self, name: str, now: float) -> bool:
        """A mark came back. False: it proves nothing, because it is none of ours or was cleared."""
        index = next((index for index, (each, _) in enumerate(self._marks) if each == name), None)
        if index is None:
            return False
        position = self._marks[index][1]
        for _ in range(index + 1):
            self._marks.popleft()
        self._proven(position, now)
        self._believed = True
        return True

    def drained(self, now: float) -> None:
        """The peer has played everything."""
        self._marks.clear()
        self._proven(self._sent, now)

    def _proven(self, position: int, now: float) -> None:
        if self._first is not None and position > self._first.position:
            late = now - self._first.at_s - (position - self._first.position) / self._rate
            self._lag_s = min(max(late, 0.0), _MOST_LAG_S)
        self._base = _Base(min(position, self._by_clock(now)), now)

    def cleared(self) -> None:
        """The peer was told to drop what it has not played: whatever it returns now proves nothing."""
        self._forget()

    # --- what was heard ---

    def heard(self, now: float) -> int:
        """Samples that have been audible. Never falls."""
        soft = self._base.position + round((now - self._base.at_s) * self._rate)
        heard = min(self._by_clock(now), soft, self._next_mark(now))
        self._heard = max(self._heard, heard)
        return self._heard

    def news(self, now: float) -> int:
        """Samples of replies that became audible since the last time, padding not counted."""
        heard = self.heard(now)
        credit = heard - self._silence(heard)
        fresh, self._credited = credit - self._credited, credit
        return fresh

    def settle(self) -> None:
        """The peer cannot be stopped: whatever was sent will be heard."""
        self._heard = self._sent

    @property
    def waiting(self) -> bool:
        """Something was sent that was not heard, as far as was asked."""
        return self._heard < self._sent

    @property
    def believed(self) -> bool:
        """The peer returns its marks."""
        return self._believed

    def _by_clock(self, now: float) -> int:
        if self._first is None:
            return 0
        return min(self._sent, self._first.position + round((now - self._first.at_s) * self._rate))

    def _silence(self, position: int) -> int:
        """Padding before ``position``."""
        while self._padding and sum(self._padding[0]) <= position:
            self._passed += self._padding.popleft()[1]
        return self._passed + (max(0, position - self._padding[0][0]) if self._padding else 0)

    def _next_mark(self, now: float) -> int:
        """How far the peer can be, by the marks that have not come back."""
        while self._marks:
            position = self._marks[0][1]
            due = self._base.at_s + (position - self._base.position) / self._rate
            if now - due <= _OVERDUE_S:
                return position if self._believed else self._sent
            self._believed = False
            self._marks.popleft()
        return self._sent
