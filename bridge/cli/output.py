"""How every command speaks: words or one JSON object, and the exit codes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import IntEnum
from itertools import takewhile
from typing import IO, Any

import click

from bridge.serve.process import CannotListen
from bridge.serve.tls import TlsError
from bridge.settings import SettingsError
from bridge.stores import CannotOpen
from bridge.tenants.api import NoSuchCredential, NoSuchTenant, NoSuchToken, TenantError


class Exit(IntEnum):
    """Exit codes, as ``docs/cli.md`` lists them."""

    OK = 0
    FOUND = 1
    """``check`` or ``fsck`` found something wrong; ``export``, ``recover`` left something out."""
    USAGE = 2
    """An option or argument that is unknown, missing or malformed (click's own)."""
    SETTINGS = 3
    LISTEN = 4
    STORAGE = 5
    """Store, database, keys or vault cannot be used."""
    NOT_THERE = 6
    """There is no such tenant, credential or token."""
    REFUSED = 7
    """It exists already, cannot be, or the tenant's state does not allow it."""
    INTERRUPTED = 130


class Failed(click.ClickException):
    """A command that could not do its work. With ``as_json`` it says so as one JSON object."""

    def __init__(self, message: str, code: Exit, *, as_json: bool) -> None:
        super().__init__(message)
        self.exit_code = code  # type: ignore[misc]
        self._as_json = as_json

    def show(self, file: IO[Any] | None = None) -> None:
        """Words on standard error; as JSON on standard output."""
        if self._as_json:
            error = {"code": int(self.exit_code), "message": self.message}
            click.echo(json.dumps({"error": error}))
        else:
            for line in self.message.splitlines():
                click.echo(f"storj-bridge: {line}", err=True)


json_option = click.option("--json", "as_json", is_flag=True, help="Speak JSON on standard output.")
"""``--json``, the same for every command."""


def say(data: Mapping[str, object], words: str, *, as_json: bool) -> None:
    """Print a result; click flushes it at once."""
    click.echo(json.dumps(data) if as_json else words)


@contextmanager
def in_words(*, as_json: bool) -> Iterator[None]:
    """Turn what can go wrong into ``Failed``; a traceback is for faults of the bridge only."""
    try:
        yield
    except (SettingsError, TlsError) as error:
        raise Failed(str(error), Exit.SETTINGS, as_json=as_json) from None
    except CannotListen as error:
        raise Failed(str(error), Exit.LISTEN, as_json=as_json) from None
    except CannotOpen as error:
        raise Failed(str(error), Exit.STORAGE, as_json=as_json) from None
    except (NoSuchTenant, NoSuchCredential, NoSuchToken) as error:
        raise Failed(str(error), Exit.NOT_THERE, as_json=as_json) from None
    except TenantError as error:
        raise Failed(str(error), Exit.REFUSED, as_json=as_json) from None


class Commands(click.Group):
    """All commands. With ``--json`` what click itself refuses is told as JSON too."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """As ``click.Group.make_context``."""
        # Looked for by hand: what is refused was not parsed to its end. What follows "--" is none.
        as_json = "--json" in takewhile(lambda word: word != "--", args)
        with _told(as_json=as_json):
            context = super().make_context(info_name, args, parent, **extra)
        context.meta[_AS_JSON] = as_json
        return context

    def invoke(self, ctx: click.Context) -> Any:
        """As ``click.Group.invoke``, which reads a command's own arguments too."""
        with _told(as_json=ctx.meta[_AS_JSON]):
            return super().invoke(ctx)


_AS_JSON = "bridge.cli.as_json"


@contextmanager
def _told(*, as_json: bool) -> Iterator[None]:
    """Turn into ``Failed`` what ends a command before it could say why, as JSON where asked for."""
    try:
        yield
    except KeyboardInterrupt:
        raise Failed("interrupted", Exit.INTERRUPTED, as_json=as_json) from None
    except click.Abort:
        raise Failed("nothing was done", Exit.FOUND, as_json=as_json) from None
    except click.UsageError as error:
        if not as_json:
            raise  # click shows the usage too
        raise Failed(error.format_message(), Exit.USAGE, as_json=True) from None
