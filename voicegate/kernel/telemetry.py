"""The telemetry port: what the code may report without knowing who listens.

Label values are bound once (:meth:`Telemetry.counter`), never looked up per frame.
"""

from typing import Protocol


class Counter(Protocol):
    def inc(self, amount: float = 1.0, /) -> None: ...


class Gauge(Protocol):
    def set(self, value: float, /) -> None: ...


class Histogram(Protocol):
    def observe(self, value: float, /) -> None: ...


class Telemetry(Protocol):
    """Makes bound instruments. Asking twice for the same name and labels gives the same instrument."""

    def counter(self, name: str, help_text: str, **labels: str) -> Counter: ...

    def gauge(self, name: str, help_text: str, **labels: str) -> Gauge: ...

    def histogram(self, name: str, help_text: str, **labels: str) -> Histogram: ...


class _Nothing:
    def inc(self, amount: float = 1.0, /) -> None: ...

    def set(self, value: float, /) -> None: ...

    def observe(self, value: float, /) -> None: ...


class NoTelemetry:
    """Drops everything; for tests and tools."""

    _nothing = _Nothing()

    def counter(self, name: str, help_text: str, **labels: str) -> Counter:
        return self._nothing

    def gauge(self, name: str, help_text: str, **labels: str) -> Gauge:
        return self._nothing

    def histogram(self, name: str, help_text: str, **labels: str) -> Histogram:
        return self._nothing
