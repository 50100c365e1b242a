"""``storj-bridge usage``: what tenants stored and moved, by day."""

from __future__ import annotations

from dataclasses import astuple, fields
from pathlib import Path

import click

from bridge.app import open_administration
from bridge.cli.options import config_option
from bridge.cli.output import in_words, json_option, say
from bridge.settings import load
from bridge.tenants.api import UsageDay
from bridge.tenants.report import by_month
from bridge.tenants.usage_rows import NoDays


@click.command()
@config_option
@click.argument("tenant_id", metavar="[TENANT]", default="")
@click.option("--first", metavar="YYYY-MM-DD", help="The first day.")
@click.option("--last", metavar="YYYY-MM-DD", help="The last day.")
@click.option("--csv", "as_csv", is_flag=True, help="By bucket, partner and month, as CSV.")
@json_option
def usage(
    file: Path,
    tenant_id: str,
    *,
    first: str | None,
    last: str | None,
    as_csv: bool,
    as_json: bool,
) -> None:
    """Show traffic and storage, of one tenant or all, those that are gone too.

    The CSV has what a revenue share is reckoned from: byte-hours stored and bytes down.
    """
    if as_csv and as_json:
        raise click.UsageError("--csv or --json: one of them")
    with in_words(as_json=as_json), open_administration(load(file)) as administration:
        try:
            days = administration.usage(tenant_id or None, first=first, last=last)
        except NoDays as error:
            raise click.UsageError(str(error)) from None
    if as_csv:
        click.echo(by_month(days), nl=False)
        return
    names = [field.name for field in fields(UsageDay)]
    facts = {"days": [dict(zip(names, astuple(day), strict=True)) for day in days]}
    lines = [
        f"{day.day} {day.tenant:<24} {day.up:>14} up {day.down:>14} down "
        f"{day.requests:>9} requests {day.byte_hours:>18.0f} byte-hours"
        for day in days
    ]
    say(facts, "\n".join(lines) or "Nothing was stored or moved yet.", as_json=as_json)
