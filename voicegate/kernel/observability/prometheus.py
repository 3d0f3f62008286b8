"""The telemetry port on ``prometheus_client``: instruments are bound once, so that reporting is one method call."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry
from prometheus_client import Counter as PrometheusCounter
from prometheus_client import Gauge as PrometheusGauge
from prometheus_client import Histogram as PrometheusHistogram

from voicegate.kernel.telemetry import Counter, Gauge, Histogram

SECONDS_BUCKETS: Sequence[float] = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0,
)  # fmt: skip
"""For names that end in ``_seconds``: fine where a frame is late, and where a caller notices a pause."""

COUNT_BUCKETS: Sequence[float] = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
"""For every other histogram (milliseconds, sizes)."""

_Family = PrometheusCounter | PrometheusGauge | PrometheusHistogram


class PrometheusTelemetry:
    """Instruments in ``registry``. Names keep their label names for life (Prometheus's own rule)."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._families: dict[str, _Family] = {}
        self._bound: dict[tuple[str, tuple[tuple[str, str], ...]], _Family] = {}

    def counter(self, name: str, help_text: str, **labels: str) -> Counter:
        """A counter; ``_total`` is added to its exposed name where it is missing.

        Raises:
            ValueError: the name is taken by another kind or with other label names.
        """
        found = self._bind(PrometheusCounter, name, help_text, labels)
        assert isinstance(found, PrometheusCounter)
        return found

    def gauge(self, name: str, help_text: str, **labels: str) -> Gauge:
        """A gauge. Raises like :meth:`counter`."""
        found = self._bind(PrometheusGauge, name, help_text, labels)
        assert isinstance(found, PrometheusGauge)
        return found

    def histogram(self, name: str, help_text: str, **labels: str) -> Histogram:
        """A histogram. Raises like :meth:`counter`."""
        found = self._bind(PrometheusHistogram, name, help_text, labels)
        assert isinstance(found, PrometheusHistogram)
        return found

    def _bind(self, kind: type[_Family], name: str, help_text: str, labels: dict[str, str]) -> _Family:
        key = (name, tuple(sorted(labels.items())))
        bound = self._bound.get(key)
        if bound is None:
            family = self._family(kind, name, help_text, sorted(labels))
            bound = self._bound[key] = family.labels(**labels) if labels else family
        if not isinstance(bound, kind):
            raise ValueError(f"{name} is not a {kind.__name__.lower()}")
        return bound

    def _family(self, kind: type[_Family], name: str, help_text: str, label_names: list[str]) -> _Family:
        family = self._families.get(name)
        if family is None:
            family = self._families[name] = self._make(kind, name, help_text, label_names)
        elif not isinstance(family, kind):
            raise ValueError(f"{name} is not a {kind.__name__.lower()}")
        return family

    def _make(self, kind: type[_Family], name: str, help_text: str, label_names: list[str]) -> _Family:
        if kind is PrometheusHistogram:
            buckets = SECONDS_BUCKETS if name.endswith("_seconds") else COUNT_BUCKETS
            return PrometheusHistogram(name, help_text, label_names, registry=self._registry, buckets=buckets)
        return kind(name, help_text, label_names, registry=self._registry)
