"""Options that several commands have, and how their values are read."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, TypeVar

import click

from bridge.tenants.api import ALL_RIGHTS, Right

F = TypeVar("F", bound=Callable[..., Any])

config_option = click.option(
    "--config",
    "-c",
    "file",
    type=click.Path(path_type=Path),
    required=True,
    help="The configuration, as init writes it.",
)
"""``--config``, the same for every command."""

tenant_argument = click.argument("tenant_id", metavar="TENANT")

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "p": 10**15}
_BINARY = {f"{unit}i": 1 << 10 * power for power, unit in enumerate("kmgtp", 1)}
_SIZE = re.compile(r"(\d+)\s*([kmgtp]?i?)b?", re.IGNORECASE)
_AGO = re.compile(r"(\d+)\s*([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}

_FURTHEST = 1_000 * 365 * 86_400
"""Seconds: a thousand years."""

_LARGEST = 64 << 10
"""Most characters that are read as a secret."""


class Size(click.ParamType[int | None]):
    """A number of bytes: ``500GB``, ``2TiB``, ``1000``; ``none`` for no limit."""

    name = "size"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | None:
        """Raises click's own error."""
        text = str(value).strip()
        if text.lower() == "none":
            return None
        found = _SIZE.fullmatch(text)
        unit = found[2].lower() if found else ""
        if found is None or unit not in _UNITS | _BINARY:
            self.fail(f"{text!r} is no size: 500GB, 2TiB, a number of bytes, or none", param, ctx)
        return int(found[1]) * (_UNITS | _BINARY)[unit]


class When(click.ParamType[float]):
    """A time to come: ``30d``, ``12h``, ``2027-01-31`` or ``2027-01-31T12:00:00+01:00``.

    A date ends with its last second, in UTC.
    """

    name = "when"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Unix seconds. Raises click's own error."""
        if isinstance(value, float):
            return value
        text = str(value).strip()
        if found := _AGO.fullmatch(text.lower()):
            seconds = int(found[1]) * _SECONDS[found[2]]
            if seconds > _FURTHEST:
                self.fail(f"{text!r} is too far away", param, ctx)
            return time.time() + seconds
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            self.fail(f"{text!r} is no time: 30d, 12h, 2027-01-31 or 2027-01-31T12:00Z", param, ctx)
        if len(text) == len("2027-01-31"):
            at = at.replace(hour=23, minute=59, second=59)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


class Rights(click.ParamType[Right]):
    """Rights by comma: ``read,list``; ``all``."""

    name = "rights"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Right:
        """Raises click's own error."""
        if isinstance(value, Right):
            return value
        rights = Right(0)
        for word in str(value).lower().split(","):
            if word.strip() == "all":
                rights |= ALL_RIGHTS
            elif word.strip().upper() in Right.__members__:
                rights |= Right[word.strip().upper()]
            else:
                self.fail(f"{word!r} is no right: read, write, list, delete or all", param, ctx)
        return rights


def rights_words(rights: Right) -> str:
    """Rights as ``Rights`` reads them."""
    return ",".join(right.name.lower() for right in Right if right in rights and right.name)


def moment(at: float | None) -> str | None:
    """A time for people and JSON: RFC 3339, in UTC, whole seconds."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def grant_option(flag: str, name: str, words: str) -> Callable[[F], F]:
    """An option for the file of a grant, which ``read_grant`` reads."""
    return click.option(flag, name, type=click.File(), metavar="FILE", help=words)


def read_grant(stream: IO[str] | None) -> str | None:
    """A grant from a file or, for ``-``, standard input; it is never an argument."""
    if stream is None:
        return None
    if stream is sys.stdin and sys.stdin.isatty():
        click.echo("access grant (it is not shown):", err=True)
        return str(click.prompt("", hide_input=True, prompt_suffix="", err=True)).strip()
    try:
        return stream.read(_LARGEST).strip()
    except UnicodeDecodeError:
        raise click.UsageError(
            f"{stream.name}: this is not an access grant, nor any text"
        ) from None
