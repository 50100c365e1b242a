"""``storj-bridge export``: a tenant's files to a folder, in plain text, beside a service or not."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console

from bridge.app import Services, told
from bridge.cli.options import config_option
from bridge.cli.output import Exit, in_words, json_option, say
from bridge.files.errors import FileError
from bridge.files.export import Export, Exported
from bridge.files.plain_folder import PlainFolder, TargetError
from bridge.settings import load
from bridge.stores import CannotOpen

_EVERY = 10.0
"""Seconds between two lines that say how far it is, where nobody looks at a terminal."""


@click.command()
@config_option
@click.option("--tenant", "tenant_id", metavar="TENANT", help="Whose files (the configured one's).")
@click.argument("target", type=click.Path(path_type=Path, file_okay=False))
@json_option
@click.pass_context
def export(
    context: click.Context, file: Path, target: Path, *, tenant_id: str | None, as_json: bool
) -> None:
    """Write all files of a tenant to the folder TARGET, readable, with their names and times.

    What is there with the same size and time is skipped, so that it can be run again. Exit code 0
    when all is there as it should be, 1 when something is not: that is listed.
    """
    with in_words(as_json=as_json):
        settings = load(file)
        with Services.open(settings) as services, told(), _progress() as progress:
            opened = services.tenant(tenant_id)
            fingerprint = opened.keyrings.fingerprint()
            try:
                with PlainFolder(target) as folder:
                    done = Export(opened.tree, folder, progress).run()
            except TargetError as error:
                raise CannotOpen(f"target: {error}") from None
            except FileError as error:
                raise CannotOpen(
                    f"the export could not be finished: {error}; run again, it goes on from here"
                ) from None
    facts = {"complete": not done.troubles} | asdict(done) | {"fingerprint": fingerprint}
    say(facts, f"{_words(done)}\nVault fingerprint  {fingerprint}", as_json=as_json)
    context.exit(Exit.FOUND if done.troubles else Exit.OK)


def _words(done: Exported) -> str:
    # Names are as clients gave them: what a terminal would act on is shown, not sent.
    lines = [f"{trouble.path!r}: {trouble.words}" for trouble in done.troubles]
    lines.append(
        f"{done.files} files in {done.folders} folders, {done.bytes} bytes written, {done.skipped} "
        "files were there already: "
        + (f"{len(lines)} problems" if lines else "all is as it should be")
    )
    return "\n".join(lines)


@contextmanager
def _progress() -> Iterator[Callable[[Exported], None]]:
    """Show how far it is: in place on a terminal, elsewhere by a line of JSON now and then."""
    console = Console(stderr=True)
    if console.is_terminal:
        with console.status("exporting") as status:
            yield lambda so_far: status.update(
                f"exporting: {so_far.files} files, {so_far.bytes >> 20} MiB"
            )
        return
    told = time.monotonic()

    def tell(so_far: Exported) -> None:
        nonlocal told
        if time.monotonic() - told >= _EVERY:
            told = time.monotonic()
            facts = asdict(so_far)
            del facts["troubles"]
            click.echo(json.dumps({"event": "exporting"} | facts), err=True)

    yield tell
