"""Metrics of several workers in one text, and a worker's place."""

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from gateway.siblings import Worker, merged
from voicegate.kernel.errors import ConfigError


def metrics_of(calls: int) -> str:
    registry = CollectorRegistry()
    Gauge("calls", "Calls", registry=registry).set(calls)
    Counter("turns_total", "Turns", ["code"], registry=registry).labels(code="a").inc(calls * 10)
    Histogram("late_seconds", "Lateness", buckets=(0.1, 1.0), registry=registry).observe(0.05 * calls)
    return generate_latest(registry).decode()


def test_samples_of_all_workers_are_told_apart_by_a_label() -> None:
    text = merged({1: metrics_of(3), 0: metrics_of(1)}).decode()
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["calls", ("worker", "0")] == 1
    assert samples["calls", ("worker", "1")] == 3
    assert samples["turns_total", ("code", "a"), ("worker", "1")] == 30
    assert samples["late_seconds_bucket", ("le", "0.1"), ("worker", "0")] == 1
    assert samples["late_seconds_bucket", ("le", "0.1"), ("worker", "1")] == 0
    assert text.count("# TYPE calls gauge") == 1
    assert text.count("# HELP turns_total Turns") == 1


def test_a_worker_knows_the_others() -> None:
    worker = Worker(1, 3, Path("/run/somewhere"))
    assert worker.others == [0, 2]
    assert worker.socket(2) == Path("/run/somewhere/worker2.sock")
    with pytest.raises(ConfigError):
        Worker(3, 3, Path())
