"""Token buckets: how much a peer may do a second, with a burst. Pure; time is an argument."""

from collections import OrderedDict


class Bucket:
    """Refills at ``rate_per_s`` up to ``burst``, starts full."""

    __slots__ = ("_at", "_burst", "_level", "_rate")

    def __init__(self, rate_per_s: float, burst: float, now: float) -> None:
        self._rate = rate_per_s
        self._burst = burst
        self._level = burst
        self._at = now

    def take(self, amount: float, now: float) -> bool:
        """Take ``amount``, or nothing and return False where the bucket does not hold it."""
        self._refill(now)
        if amount > self._level:
            return False
        self._level -= amount
        return True

    def overdraw(self, amount: float, now: float) -> bool:
        """Take ``amount`` if the bucket is not in debt, however much it is; the debt must refill before the next."""
        self._refill(now)
        if self._level < 0:
            return False
        self._level -= amount
        return True

    def wait_s(self, amount: float, now: float) -> float:
        """Seconds until ``amount`` can be taken."""
        self._refill(now)
        return max(0.0, (min(amount, self._burst) - self._level) / self._rate)

    def _refill(self, now: float) -> None:
        self._level = min(self._burst, self._level + (now - self._at) * self._rate)
        self._at = now


class PeerBuckets:
    """One bucket a peer, for the ``capacity`` peers seen last: memory stays bounded whoever knocks."""

    def __init__(self, rate_per_s: float, burst: float, *, capacity: int = 10_000) -> None:
        self._rate = rate_per_s
        self._burst = burst
        self._capacity = capacity
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def wait_s(self, peer: str, now: float) -> float:
        """Take one from the peer's bucket and return 0, or return the seconds until that is possible."""
        bucket = self._buckets.get(peer)
        if bucket is None:
            bucket = self._buckets[peer] = Bucket(self._rate, self._burst, now)
            if len(self._buckets) > self._capacity:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(peer)
        return 0.0 if bucket.take(1.0, now) else bucket.wait_s(1.0, now)
