"""``storj-bridge keys``: keys are replaced while the service runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console

from bridge.app import Services, told
from bridge.cli.options import config_option, tenant_argument
from bridge.cli.output import Exit, in_words, json_option, say
from bridge.files.resealer import Tally
from bridge.settings import Settings, load
from bridge.state.database import LEASE_SECONDS
from bridge.stores import CannotOpen, late_seconds
from bridge.tenants.api import TenantError
from bridge.tenants.rekeying import Rekeying
from bridge.tenants.rotation import Margins, Progress, Step


@click.group()
def keys() -> None:
    """Replace keys. The service may run beside it; interrupted, run it again."""


@keys.command("rotate-kek")
@config_option
@json_option
@click.pass_context
def rotate_kek(context: click.Context, file: Path, *, as_json: bool) -> None:
    """Seal all keyrings, grants and secrets under the first of the configured keys.

    Before: put the new key above the old one in the key file of every process, and restart these.
    After: take the old one out.
    """
    with in_words(as_json=as_json):
        settings = load(file)
        counts: dict[str, int] = {}
        left: dict[str, str] = {}
        with Services.open(settings, configured=False) as services, told():
            key_id = services.keks[0].id.hex()
            rekeying = _rekeying(services, settings)
            for tenant in services.administration.tenants():
                try:
                    with told():
                        counts[tenant.id] = rekeying.rotate_kek(services.tenants.tenant(tenant.id))
                        if not services.administration.is_copied(tenant.id):
                            left[tenant.id] = "what the bucket keeps of it could not be written now"
                except (CannotOpen, TenantError) as error:
                    left[tenant.id] = str(error)
            for tenant_id in rekeying.gone():
                try:
                    with told():
                        counts[tenant_id] = rekeying.rotate_left(tenant_id)
                except CannotOpen as error:
                    left[tenant_id] = str(error)
    words = [f"{tenant_id:<24} {count} sealed anew" for tenant_id, count in counts.items()]
    words += [f"{tenant_id:<24} {why}" for tenant_id, why in left.items()]
    words.append(
        "Keep the old key, and run this again." if left else "The old key is needed no more."
    )
    facts = {"sealed": counts, "left": left, "key_id": key_id}
    say(facts, "\n".join(words), as_json=as_json)
    context.exit(Exit.FOUND if left else Exit.OK)


@keys.command("rotate-tenant")
@config_option
@tenant_argument
@click.option(
    "--leave-damaged",
    is_flag=True,
    help="Take the old key away though damaged entries could be rebuilt by it.",
)
@json_option
def rotate_tenant(file: Path, tenant_id: str, *, leave_damaged: bool, as_json: bool) -> None:
    """Replace a tenant's root key, under which its records are sealed.

    Takes a minute or two, and as long as it takes to write the record of each file anew. Contents
    are not written anew: what was written under the old key stays readable by who has it.
    """
    with in_words(as_json=as_json):
        settings = load(file)
        with Services.open(settings, configured=False) as services, told(), _progress() as progress:
            opened = services.tenant(tenant_id)
            tally = _rekeying(services, settings).rotate_tenant(
                opened, progress, leave_damaged=leave_damaged
            )
    facts = {"tenant": tenant_id, "looked": tally.looked, "resealed": tally.resealed}
    words = f"Tenant {tenant_id} has a new key: {tally.resealed} records sealed anew."
    say(facts, words, as_json=as_json)


def _rekeying(services: Services, settings: Settings) -> Rekeying:
    margins = Margins.of(lease=LEASE_SECONDS, late=late_seconds(settings.store))
    return Rekeying(services.administration, services.state, services.keks, margins)


@contextmanager
def _progress() -> Iterator[Progress]:
    """Show each step on a terminal; elsewhere say it in a line of JSON on standard error."""
    console = Console(stderr=True)
    if console.is_terminal:
        with console.status("beginning") as status:
            yield lambda step, tally: status.update(f"{step.value}: {tally.looked} looked at")
        return
    last: Step | None = None

    def tell(step: Step, tally: Tally) -> None:
        nonlocal last
        if step is not last:
            last = step
            line = {"step": step.value, "looked": tally.looked, "resealed": tally.resealed}
            click.echo(json.dumps(line), err=True)

    yield tell
