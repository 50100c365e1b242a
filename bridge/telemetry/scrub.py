"""What may not reach a log: secrets at any level, plaintext names above debug.

Names of files are the tenant's secret too. So above debug level text is let through only
under field names known to carry no name; a field nobody has thought of loses its text, not its
presence. Numbers and truth values always pass.
"""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Iterable
from functools import lru_cache
from types import TracebackType
from typing import Any

from structlog.typing import EventDict, WrappedLogger

HIDDEN = "[hidden]"
SECRET = "[secret]"  # noqa: S105 - stands in for one

SECRET_FIELDS = frozenset(
    [
        "authorization",
        "cookie",
        "grant",
        "identity",
        "kek",
        "key",
        "password",
        "secret",
        "set_cookie",
        "token",
    ]
)
"""Fields whose value is never written, at any level."""

OPEN_FIELDS = frozenset(
    [
        "action",
        "address",
        "certificate",
        "chore",
        "client",
        "code",
        "component",
        "data_folder",
        "door",
        "error_type",
        "etag",
        "event",
        "exception",
        "host",
        "kind",
        "level",
        "listen",
        "log_level",
        "logger",
        "method",
        "operation",
        "process",
        "reason",
        "request_id",
        "signal",
        "state",
        "status",
        "store",
        "tenant",
        "timestamp",
        "url_root",
        "user_agent",
        "username",
        "verdict",
        "version",
    ]
)
"""Fields whose text cannot hold a file's name, and passes at every level."""

_SECRET_FORMS = re.compile(
    r"AGE-SECRET-KEY-1[0-9A-Z]+|\b(?:Basic|Bearer|Digest)\s+[A-Za-z0-9+/=._~-]{6,}", re.IGNORECASE
)


_SHORT = 200


class Scrubber:
    """A structlog processor. ``secrets`` are removed wherever they appear in a text."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets = tuple(sorted({s for s in secrets if len(s) >= 6}, key=len, reverse=True))
        # Most texts of an access log come again and again: clients, users, methods, agents.
        self._short = lru_cache(maxsize=4_096)(self._scrub)

    def __call__(self, _logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        """Scrub one event; ``exc_info`` becomes ``exception``, as text."""
        names_pass = event.get("level", method) == "debug"
        error = event.pop("exc_info", None)
        if error:
            event["exception"] = describe(error, names_pass=names_pass)
        for field, value in event.items():
            event[field] = self._field(field, value, names_pass=names_pass)
        return event

    def _field(self, field: str, value: object, *, names_pass: bool) -> object:
        if field in SECRET_FIELDS:
            return SECRET
        if value is None or isinstance(value, (bool, int, float)):
            return value
        if not names_pass and field not in OPEN_FIELDS:
            return HIDDEN
        return self._text(value if isinstance(value, str) else repr(value))

    def _text(self, text: str) -> str:
        return self._short(text) if len(text) <= _SHORT else self._scrub(text)

    def _scrub(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, SECRET)
        return _SECRET_FORMS.sub(SECRET, text)


def describe(error: Any, *, names_pass: bool) -> str:
    """An exception as text; without ``names_pass`` only classes and places in the code.

    An exception's message often holds the path it was about. ``error`` is what ``exc_info`` may be:
    True, an exception, or the triple of ``sys.exc_info``.
    """
    if isinstance(error, BaseException):
        exception: BaseException | None = error
    elif isinstance(error, tuple):
        exception = error[1]
    else:
        exception = _current()
    if exception is None:
        return ""
    if names_pass:
        return "".join(traceback.format_exception(exception)).rstrip()
    lines: list[str] = []
    seen: set[int] = set()
    link: BaseException | None = exception
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        places = " > ".join(_places(link.__traceback__))
        lines.append(f"{type(link).__module__}.{type(link).__qualname__} at {places or 'start'}")
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return "\nfrom ".join(lines)


def _places(trace: TracebackType | None) -> Iterable[str]:
    for frame, line in traceback.walk_tb(trace):
        module = frame.f_globals.get("__name__", "?")
        yield f"{module}:{frame.f_code.co_name}:{line}"


def _current() -> BaseException | None:
    return sys.exc_info()[1]
