"""The telemetry port on prometheus_client."""

import pytest
from prometheus_client import CollectorRegistry

from voicegate.kernel.observability.prometheus import PrometheusTelemetry
from voicegate.kernel.telemetry import Telemetry


def test_instruments_report() -> None:
    registry = CollectorRegistry()
    telemetry: Telemetry = PrometheusTelemetry(registry)
    telemetry.counter("calls_total", "Calls", kind="a").inc()
    telemetry.counter("calls_total", "Calls", kind="a").inc(2)
    telemetry.counter("calls_total", "Calls", kind="b").inc()
    telemetry.gauge("open", "Open").set(7)
    telemetry.histogram("late_seconds", "Late").observe(0.004)
    telemetry.histogram("size_ms", "Size").observe(40)
    assert registry.get_sample_value("calls_total", {"kind": "a"}) == 3
    assert registry.get_sample_value("calls_total", {"kind": "b"}) == 1
    assert registry.get_sample_value("open") == 7
    assert registry.get_sample_value("late_seconds_bucket", {"le": "0.005"}) == 1
    assert registry.get_sample_value("late_seconds_bucket", {"le": "0.0025"}) == 0
    assert registry.get_sample_value("size_ms_bucket", {"le": "50.0"}) == 1


def test_the_same_name_and_labels_give_the_same_instrument() -> None:
    telemetry = PrometheusTelemetry(CollectorRegistry())
    first = telemetry.counter("c_total", "C", b="2", a="1")
    assert telemetry.counter("c_total", "C", a="1", b="2") is first
    assert telemetry.counter("c_total", "C", a="1", b="3") is not first
    assert telemetry.gauge("g", "G") is telemetry.gauge("g", "G")


def test_a_name_keeps_its_kind_and_labels() -> None:
    telemetry = PrometheusTelemetry(CollectorRegistry())
    telemetry.counter("x_total", "X", a="1")
    with pytest.raises(ValueError):
        telemetry.gauge("x_total", "X", a="1")
    with pytest.raises(ValueError):
        telemetry.gauge("x_total", "X", a="2")
    with pytest.raises(ValueError):
        telemetry.counter("x_total", "X", b="1")
