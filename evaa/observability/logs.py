"""Structured logs: one JSON object a line, or readable text on a terminal. Event names are listed in the README."""

import logging
import sys
from typing import Any, Literal, TextIO

import msgspec
import structlog

LogFormat = Literal["auto", "json", "console"]

_ENCODER = msgspec.json.Encoder(enc_hook=repr)


def configure_logs(log_format: LogFormat, level: str, output: TextIO | None = None) -> None:
    """Send all logs to `output` (standard output) in `log_format`, from `level` up. `auto`: text on a terminal.

    Warnings of libraries that use Python's own logging, or its warnings, come as `library.warned`, with the logger's
    name only: their texts may quote what a user said.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    stream = output or sys.stdout
    is_json = log_format == "json" or (log_format == "auto" and not stream.isatty())
    render: Any = _render_json if is_json else structlog.dev.ConsoleRenderer(colors=stream.isatty())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    logging.captureWarnings(True)
    logging.basicConfig(handlers=[_LibraryHandler(level=logging.WARNING)], level=logging.WARNING, force=True)


def _render_json(_logger: Any, _method: str, event: structlog.typing.EventDict) -> str:
    return _ENCODER.encode(event).decode()


class _LibraryHandler(logging.Handler):
    """What a library logs, without its text."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger().warning("library.warned", library=record.name, severity=record.levelname.lower())
