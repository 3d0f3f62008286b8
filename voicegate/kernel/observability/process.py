"""What the process itself holds, read when it is asked for: memory, file descriptors, CPU, tasks, threads."""

import asyncio
import threading

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector


def add_process_metrics(registry: CollectorRegistry) -> None:
    """Register ``process_*`` (Prometheus' own names) and ``voicegate_tasks``, ``voicegate_threads``.

    Call it on the event loop whose tasks are to be counted; scrape on the same loop.
    """
    ProcessCollector(registry=registry)
    loop = asyncio.get_running_loop()
    tasks = Gauge("voicegate_tasks", "Tasks of the event loop.", registry=registry)
    tasks.set_function(lambda: len(asyncio.all_tasks(loop)))
    threads = Gauge("voicegate_threads", "Threads of the process.", registry=registry)
    threads.set_function(threading.active_count)
