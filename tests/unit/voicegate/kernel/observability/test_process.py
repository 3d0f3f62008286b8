"""What the process tells of itself is what it holds now."""

import asyncio
import os
from pathlib import Path

from prometheus_client import CollectorRegistry

from voicegate.kernel.observability.process import add_process_metrics


async def test_values_are_those_of_the_moment(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    add_process_metrics(registry)

    def value(name: str) -> float:
        return registry.get_sample_value(name) or 0.0

    tasks, files = value("voicegate_tasks"), value("process_open_fds")
    assert value("process_resident_memory_bytes") > 10_000_000
    assert value("voicegate_threads") >= 1
    opened = os.open(tmp_path, os.O_RDONLY)
    async with asyncio.TaskGroup() as group:
        stop = asyncio.Event()
        for _ in range(3):
            group.create_task(stop.wait())
        assert value("voicegate_tasks") == tasks + 3
        assert value("process_open_fds") == files + 1
        stop.set()
    os.close(opened)
    assert value("voicegate_tasks") == tasks
    assert value("process_open_fds") == files
