"""Structured logs on standard error: JSON lines, or readable ones on a terminal.

Every part logs by ``structlog.get_logger()`` with a constant event and fields; what stdlib
loggers of libraries say is taken in and scrubbed the same way. A request id is bound once, by
``structlog.contextvars.bound_contextvars(request_id=...)``.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from typing import Literal, Protocol, TextIO, cast

import structlog
from structlog.typing import Processor

from bridge.telemetry.scrub import HIDDEN, Scrubber

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["auto", "json", "console"]


class LogStream(Protocol):
    """What lines are written to."""

    def write(self, text: str, /) -> int:
        """Take one line."""
        ...

    def flush(self) -> None:
        """Called after each line."""
        ...

    def isatty(self) -> bool:
        """Whether a person reads along."""
        ...


_TALKATIVE = ("py.warnings",)
"""Loggers whose finished texts hold paths: above debug level only their presence is noted."""


def configure_logs(
    level: Level = "info",
    form: Format = "auto",
    *,
    secrets: Iterable[str] = (),
    stream: LogStream | None = None,
) -> None:
    """Set up logging for the whole process. ``secrets`` are scrubbed wherever they appear."""
    out = stream or sys.stderr
    console = form == "console" or (form == "auto" and out.isatty())
    number = getattr(logging, level.upper())
    renderer: Processor
    if console:
        renderer = structlog.dev.ConsoleRenderer(colors=out.isatty())
    else:
        renderer = structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=not console),
            Scrubber(secrets),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", out)),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers[:] = [_Foreign()]
    # Libraries chatter at debug level about every call: theirs starts one level higher.
    root.setLevel(max(number, logging.INFO))
    logging.getLogger("bridge").setLevel(number)
    logging.captureWarnings(capture=True)


_EXTRA = ("request_id",)
"""What a stdlib logger's ``extra`` may bring."""


class _Foreign(logging.Handler):
    """Hands the records of stdlib loggers on, without what their texts may have taken in."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger()
        try:
            level = max(record.levelno // 10 * 10, logging.DEBUG)
            above = level > logging.DEBUG
            text = _template(record) if above else record.getMessage()
            fields = {name: vars(record)[name] for name in _EXTRA if name in vars(record)}
            log.log(
                min(level, logging.ERROR),
                text,
                logger=record.name,
                exc_info=record.exc_info,
                **fields,
            )
        except Exception:  # noqa: BLE001 - a log that fails must not fail the work
            self.handleError(record)


def _template(record: logging.LogRecord) -> str:
    """A record's text with numbers filled in, errors as their class, and texts left out.

    Only the first line: asyncio appends reprs of tasks, and they hold what the tasks work on.
    """
    if record.name.startswith(_TALKATIVE):
        return "a library's message, shown at debug level only"
    template = str(record.msg).partition("\n")[0]
    if isinstance(record.args, tuple) and record.args:
        try:
            return template % tuple(map(_harmless, record.args))
        except (TypeError, ValueError):  # %d for what was hidden
            return template
    return template


class _Plain(str):
    """Text that shows the same by ``%s`` and ``%r``."""

    __slots__ = ()
    __repr__ = str.__str__


def _harmless(argument: object) -> object:
    """What of a message's argument may be shown above debug level."""
    if isinstance(argument, (int, float)):
        return argument
    return _Plain(type(argument).__name__ if isinstance(argument, BaseException) else HIDDEN)
