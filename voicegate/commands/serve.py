"""``voicegate serve``: runs the gateway, the control API or both until it is told to stop."""

import asyncio
import gc
import signal
import sys
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Annotated

import structlog
import typer
import uvloop
from rich.console import Console

from gateway.siblings import Worker
from voicegate import settings as configuration
from voicegate.collector import keep_what_is_loaded
from voicegate.kept_secrets import with_own_secret
from voicegate.kernel.errors import ConfigError
from voicegate.kernel.observability.logs import LogConfig, configure_logs
from voicegate.settings import Settings
from voicegate.watchdog import watch_loop
from voicegate.workers import Supervisor, end_with_parent, kept_port, serve_command, worker_of

if TYPE_CHECKING:
    from voicegate.app import Running
    from voicegate.control import Control

_log = structlog.get_logger(__name__)


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on (VOICEGATE_HOST).")] = None,
    port: Annotated[int | None, typer.Option(help="Port, 0 for a free one (VOICEGATE_PORT).")] = None,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Processes that share the port: one a core.")] = 1,
    role: Annotated[
        str | None, typer.Option(help="What runs: gateway, control (the control API) or all (VOICEGATE_ROLE).")
    ] = None,
    worker: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    """Start voicegate. Settings come from the environment, see docs/configuration.md."""
    try:
        settings = with_own_secret(configuration.load(host=host, port=port, role=role))
        configure_logs(_logs(settings))
        if workers > 1:
            raise typer.Exit(_serve_together(settings, workers))
        uvloop.run(_serve(settings, worker_of(worker) if worker else None))
    except ConfigError as error:
        Console(stderr=True).print(f"[bold red]voicegate cannot start[/]\n{error}", highlight=False)
        raise typer.Exit(2) from None


def _serve_together(settings: Settings, workers: int) -> int:
    with kept_port(settings.host, settings.port) as port:
        return asyncio.run(Supervisor(serve_command(settings.host, port), workers).run())


async def _serve(settings: Settings, worker: Worker | None) -> None:
    if worker is not None:
        end_with_parent()
    # Loading makes hundreds of thousands of objects and no garbage: to look for some takes a fifth of the start.
    gc.disable()
    # Here and not above: neither the other commands nor the process that only watches over workers need the engines.
    from voicegate.app import running

    stop, hurry = asyncio.Event(), asyncio.Event()

    def signalled(number: signal.Signals) -> None:
        if number == signal.SIGINT or stop.is_set():
            hurry.set()
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, signalled, number)
    try:
        async with AsyncExitStack() as stack:
            if settings.role == "control":
                await _start_control(settings, stack)
                keep_what_is_loaded()
                await stop.wait()
                return
            application = await stack.enter_async_context(running(settings, worker=worker))
            # Of several processes that share the gateway's port, the first one has the control API.
            if settings.role == "all" and (worker is None or worker.index == 0):
                await _start_control(settings, stack, application.url)
            keep_what_is_loaded()
            if worker is None or worker.index == 0:
                _tell(application, worker.count if worker else 1)
            with watch_loop(application.calls, application.telemetry):
                await stop.wait()
                _log.info("stopping", calls=application.calls.live)
                await _first_of(application.drain(), hurry.wait())
    except* ConfigError as group:
        raise _first(group) from None


async def _first_of(*works: Coroutine[None, None, object]) -> None:
    """Return when one of them is done; the others are cancelled."""
    async with asyncio.TaskGroup() as tasks:
        running_works = [tasks.create_task(work) for work in works]
        await asyncio.wait(running_works, return_when=asyncio.FIRST_COMPLETED)
        for task in running_works:
            task.cancel()


def _first(group: BaseExceptionGroup[ConfigError]) -> ConfigError:
    """What is wrong, out of the groups of the task groups it passed through."""
    error = group.exceptions[0]
    return error if isinstance(error, ConfigError) else _first(error)


def _tell(application: "Running", processes: int) -> None:
    engines = application.engines
    names = [getattr(engine, "provider", type(engine).__name__) for engine in (engines.vad, engines.stt, engines.agent)]
    websocket = application.url.replace("http", "ws", 1)
    lines = [
        f"voicegate is ready on [bold]{application.url}[/]" + (f" in {processes} processes" if processes > 1 else ""),
        f"  voice activity {names[0]} · speech to text {names[1]} · agent {names[2]} · voice {engines.tts.provider}",
        f"  call it:       {websocket}/voice/<session id>",
        f"  or:            voicegate call FILE.wav --url {websocket}",
        f"  sessions in:   {application.redis_url}",
        "  stop it with Ctrl-C",
    ]
    Console(stderr=True, highlight=False).print("\n".join(lines))


async def _start_control(settings: Settings, stack: AsyncExitStack, gateway_url: str = "") -> None:
    # Here and not above: a gateway alone need not load a web framework and a database's driver.
    from voicegate.control import running_control

    _tell_control(await stack.enter_async_context(running_control(settings, gateway_url)))


def _tell_control(control: "Control") -> None:
    lines = [
        f"the control API is ready on [bold]{control.api.url}[/]",
        f"  its operations: {control.api.url}/docs",
        f"  database:       {control.database}",
    ]
    if control.admin is not None and control.admin.password:
        lines.append(f"  log in as [bold]{control.admin.email}[/] with the password [bold]{control.admin.password}[/]")
        lines.append("  (shown this once; voicegate password sets another)")
    elif control.admin is not None:
        lines.append(f"  log in as [bold]{control.admin.email}[/] with VOICEGATE_ADMIN_PASSWORD")
    Console(stderr=True, highlight=False).print("\n".join(lines))


def _logs(settings: Settings) -> LogConfig:
    as_json = settings.log_format == "json" or (settings.log_format == "auto" and not sys.stderr.isatty())
    return LogConfig(json=as_json, level=settings.log_level, pii=settings.log_pii)
