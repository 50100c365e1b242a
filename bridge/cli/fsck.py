"""``storj-bridge fsck``: checks a vault and repairs it; the service may run beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console

from bridge.app import Services, told
from bridge.cli.options import config_option
from bridge.cli.output import Exit, in_words, json_option, say
from bridge.files.copies import INTENT_LIFE
from bridge.files.errors import FileError
from bridge.files.findings import Report
from bridge.files.fsck import Fsck
from bridge.settings import load
from bridge.stores import CannotOpen, OnStorj, account_of


@click.command()
@config_option
@click.option("--tenant", "tenant_id", metavar="TENANT", help="Whose vault (the configured one's).")
@click.option("--repair", is_flag=True, help="Re-attach what is lost and remove leftovers.")
@click.option(
    "--min-age",
    type=click.FloatRange(min=0),
    default=INTENT_LIFE,
    show_default=True,
    metavar="SECONDS",
    help="Leave alone what is younger and that nothing refers to; it may be in the making.",
)
@json_option
@click.pass_context
def fsck(
    context: click.Context,
    file: Path,
    *,
    tenant_id: str | None,
    repair: bool,
    min_age: float,
    as_json: bool,
) -> None:
    """Check a vault: unreferenced folders, damaged records, leftovers of crashes.

    Exit code 0 when nothing is left to repair, 1 otherwise. Lost folders go to /lost+found.
    """
    with in_words(as_json=as_json):
        settings = load(file)
        with Services.open(settings) as services, told(), _progress() as progress:
            opened = services.tenant(tenant_id)
            try:
                report = Fsck(opened.tree, repair=repair, min_age=min_age, progress=progress).run()
            except FileError as error:
                raise CannotOpen(f"the check could not be finished: {error}") from None
            kept = account_of(settings, opened.store, opened.tenant.id)
    facts, words = _facts(report), _words(report, repair=repair)
    if kept is not None:
        facts["storj"] = asdict(kept.account) | {"uploads": kept.uploads}
        words = f"{_counted(kept)}\n{words}"
    say(facts, words, as_json=as_json)
    context.exit(Exit.OK if report.clean else Exit.FOUND)


def _facts(report: Report) -> dict[str, object]:
    return {
        "clean": report.clean,
        "files": report.files,
        "directories": report.directories,
        "bytes": report.bytes,
        "problems": [
            {"finding": p.finding.name.lower(), "words": p.finding.value, "key": p.key}
            | {"repaired": p.repaired}
            for p in report.problems
        ],
    }


def _words(report: Report, *, repair: bool) -> str:
    lines = [
        f"{problem.finding.value}: {problem.key}"
        + (f" ({problem.repaired})" if problem.repaired else "")
        for problem in report.problems
    ]
    lines.append(
        f"{report.files} files in {report.directories} folders, {report.bytes} bytes: "
        + ("nothing is wrong" if report.clean else f"{len(report.problems)} problems")
    )
    if not report.clean:
        lines.append(
            "what is left cannot be repaired here" if repair else "repair it with fsck --repair"
        )
    return "\n".join(lines)


def _counted(kept: OnStorj) -> str:
    account = kept.account
    return (
        f"on Storj: {account.objects} objects in {account.segments} segments, "
        f"{account.stored_bytes} bytes as the satellite counts them, and {kept.uploads} uploads "
        "that are not finished"
    )


@contextmanager
def _progress() -> Iterator[Callable[[int], None]]:
    """Show the count of files on a terminal, and nothing elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _files: None
        return
    with console.status("checking") as status:
        yield lambda files: status.update(f"checking: {files} files")
