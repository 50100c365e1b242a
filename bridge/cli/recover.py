"""``storj-bridge recover``: the state database anew, from what the buckets keep."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import IO

import click

from bridge.app import Services, told
from bridge.cli.options import config_option, grant_option, read_grant
from bridge.cli.output import Exit, in_words, json_option, say
from bridge.settings import load
from bridge.storage import keepings
from bridge.stores import agent_of
from bridge.tenants.recover import Found, Recovery

LOST = (
    "Not kept there, and lost: locks and leases (clients lock again), tokens of the admin API "
    "(make new ones), usage by day, and what was still to be revoked at the satellite."
)


@click.command()
@config_option
@grant_option(
    "--grant-file",
    "grant",
    "On Storj: the root grant, or the grant that a tenant has brought; - is standard input.",
)
@click.option(
    "--bucket", "buckets", multiple=True, help="Look in this bucket alone; may be given again."
)
@json_option
@click.pass_context
def recover(
    context: click.Context,
    file: Path,
    *,
    grant: IO[str] | None,
    buckets: tuple[str, ...],
    as_json: bool,
) -> None:
    """Bring tenants back that the state database does not know.

    Needs the operator's key, and on Storj a grant that reads what the bridge keeps in the buckets.
    A tenant that the database knows stays as it is. Exit code 1 where one could not be brought
    back.
    """
    results: list[Found] = []
    with in_words(as_json=as_json):
        settings = load(file)
        with Services.open(settings, configured=False) as services, told():
            recovery = Recovery(services.administration.records, services.storage, services.keks)
            for keeping in keepings(
                services.stores,
                settings.store.kind,
                grant=read_grant(grant),
                buckets=buckets,
                user_agent=agent_of(settings.store),
            ):
                with closing(keeping.store):
                    results += recovery.run(keeping.store, keeping.wanted)
    bad = [found for found in results if found.problem]
    lines = [f"{found.tenant_id:<24} {_words(found)}" for found in results]
    lines += ["", LOST] if results else ["No tenant was found."]
    facts = {"tenants": [asdict(found) for found in results], "lost": LOST}
    say(facts, "\n".join(lines), as_json=as_json)
    context.exit(Exit.FOUND if bad else Exit.OK)


def _words(found: Found) -> str:
    if found.problem:
        return f"not brought back: {found.problem}"
    if found.known:
        return "was known"
    if found.deleted:
        return "was deleted, and its files kept: nothing is known of it but its keys"
    return f"is back, with {found.credentials} credentials"
