"""Structured logs: one JSON object a line, or columns for a person. Standard-library loggers go the same way.

``session_id`` comes from structlog's context variables: a transport binds it once, and every line below has it.
"""

import logging
import sys
from dataclasses import dataclass
from typing import Final, Literal, TextIO

import structlog
from structlog.typing import Processor

from voicegate.kernel.observability.redact import KeepPrivate, RedactSecrets

_LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


@dataclass(frozen=True, slots=True)
class LogConfig:
    json: bool = True
    """One JSON object a line; else columns for a terminal."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    pii: bool = False
    """Keep what people said (the key ``pii``)."""


def configure_logs(config: LogConfig, stream: TextIO | None = None) -> None:
    """Set up structlog and the standard library's root logger for the whole process. Calling again replaces it."""
    out = sys.stderr if stream is None else stream
    level = _LEVELS[config.level]
    chain = _chain(config)
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, *chain, _renderer(config)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=False,  # loggers made at import must follow a later configuration
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.contextvars.merge_contextvars, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *chain, _renderer(config)],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # Libraries speak from warning on: below it they log whole requests.
    root.setLevel(max(level, logging.WARNING))


def _chain(config: LogConfig) -> list[Processor]:
    return [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        KeepPrivate(allowed=config.pii),
        structlog.processors.format_exc_info,
        RedactSecrets(),  # after the traceback became text: exceptions quote what they were given
    ]


def _renderer(config: LogConfig) -> Processor:
    if config.json:
        return structlog.processors.JSONRenderer(ensure_ascii=False)
    # The plain formatter: a pretty one reads source files, on the event loop.
    return structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
