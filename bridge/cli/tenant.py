"""``storj-bridge tenant``: tenants are made, listed, suspended and deleted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import IO

import click

from bridge.app import open_administration
from bridge.cli.identity import identity_file
from bridge.cli.options import (
    Size,
    config_option,
    grant_option,
    moment,
    read_grant,
    tenant_argument,
)
from bridge.cli.output import in_words, json_option, say
from bridge.settings import load
from bridge.tenants.api import Administration, Status, Tenant, Used

root_grant_option = grant_option(
    "--root-grant-file",
    "root",
    "The operator's access grant, from which the tenant's is cut; - is standard input. It is not "
    "kept.",
)
own_grant_option = grant_option(
    "--own-grant-file", "own", "An access grant that the tenant brings, instead; kept, sealed."
)


@click.group()
def tenant() -> None:
    """Make, list, suspend and delete tenants. The service may run beside it."""


@tenant.command()
@config_option
@tenant_argument
@click.option("--bucket", help="The bucket on Storj, made if it is missing (the configured one).")
@click.option("--quota", type=Size(), help="Most bytes of content: 500GB, 2TiB.")
@click.option("--partner", default="", help="Whom Storj credits: product or product/version.")
@root_grant_option
@own_grant_option
@json_option
def create(
    file: Path,
    tenant_id: str,
    *,
    bucket: str | None,
    quota: int | None,
    partner: str,
    root: IO[str] | None,
    own: IO[str] | None,
    as_json: bool,
) -> None:
    """Make a tenant and its vault.

    The recovery identity and the recovery grant are shown this once: give them to the tenant.
    """
    with in_words(as_json=as_json), open_administration(load(file), seals=True) as administration:
        made = administration.create_tenant(
            tenant_id,
            bucket=bucket,
            quota=quota,
            partner=partner,
            root_grant=read_grant(root),
            own_grant=read_grant(own),
        )
    facts = _facts(made.tenant) | {
        "recovery_identity": made.recovery_identity,
        "fingerprint": made.fingerprint,
    }
    words = [
        f"Tenant {tenant_id} is made. Shown this once, for the tenant to keep:",
        "",
        "Recovery identity, under the vault's fingerprint; keep both lines as identity.txt:",
        "",
        identity_file(made.recovery_identity, made.fingerprint),
    ]
    if made.recovery_grant:
        facts["recovery_grant"] = made.recovery_grant
        words += ["", "Recovery grant; keep it as grant.txt:", "", made.recovery_grant]
    who = "They open" if made.recovery_grant else "It opens"
    words += [
        "",
        f"{who} all its files without this program: docs/recovery.md says how.",
        f"Next: storj-bridge credential create --config {file} {tenant_id}",
    ]
    say(facts, "\n".join(words), as_json=as_json)


@tenant.command("replace-grant")
@config_option
@tenant_argument
@root_grant_option
@own_grant_option
@json_option
def replace_grant(
    file: Path, tenant_id: str, *, root: IO[str] | None, own: IO[str] | None, as_json: bool
) -> None:
    """Give a tenant another access grant, while its files are used.

    The recovery grant, cut from the new one, is shown this once: give it to the tenant. The
    recovery identity stays as it is.
    """
    with in_words(as_json=as_json), open_administration(load(file), seals=True) as administration:
        new = administration.replace_grant(
            tenant_id, root_grant=read_grant(root), own_grant=read_grant(own)
        )
        left = [f"{job.kind}: {job.note}" for job in administration.jobs_left(tenant_id)]
    words = [f"Tenant {tenant_id} has another access grant, and so have its credentials."]
    if new.former_works:
        words.append(
            "The one that it had was not cut from the one you gave, and still opens its files: "
            "revoke it where it was made."
        )
    if left:
        words.append(f"The service goes on with {len(left)} things left to do ({left[0]}).")
    words += ["Recovery grant, shown this once; keep it as grant.txt:", "", new.recovery_grant]
    facts = _facts(new.tenant) | {
        "recovery_grant": new.recovery_grant,
        "former_works": new.former_works,
        "left": left,
    }
    say(facts, "\n".join(words), as_json=as_json)


@tenant.command("list")
@config_option
@json_option
def list_(file: Path, *, as_json: bool) -> None:
    """List all tenants."""
    with in_words(as_json=as_json), open_administration(load(file)) as administration:
        found = [(each, administration.used(each.id)) for each in administration.tenants()]
    facts = {"tenants": [_facts(each) | _used(used) for each, used in found]}
    lines = [
        f"{each.id:<24} {each.status.value:<14} {used.bytes:>16} bytes {used.files:>10} files  "
        f"{_limit(each)}"
        for each, used in found
    ]
    say(facts, "\n".join(lines) or "There is no tenant yet: tenant create", as_json=as_json)


@tenant.command()
@config_option
@tenant_argument
@json_option
def show(file: Path, tenant_id: str, *, as_json: bool) -> None:
    """Show one tenant and what it holds."""
    with in_words(as_json=as_json), open_administration(load(file)) as administration:
        facts = _facts(administration.tenant(tenant_id)) | _used(administration.used(tenant_id))
    told = facts | {
        "quota": "none" if facts["quota"] is None else facts["quota"],
        "counted": facts["counted"] or "not yet",
    }
    words = "\n".join(f"{name:<14} {value}" for name, value in told.items() if value != "")
    say(facts, words, as_json=as_json)


@tenant.command()
@config_option
@tenant_argument
@json_option
def suspend(file: Path, tenant_id: str, *, as_json: bool) -> None:
    """Let nobody sign in to a tenant; nothing is lost."""
    _change(file, lambda administration: administration.suspend(tenant_id), as_json=as_json)


@tenant.command()
@config_option
@tenant_argument
@json_option
def resume(file: Path, tenant_id: str, *, as_json: bool) -> None:
    """Let the credentials of a suspended tenant work again."""
    _change(file, lambda administration: administration.resume(tenant_id), as_json=as_json)


@tenant.command()
@config_option
@tenant_argument
@click.argument("quota", type=Size())
@json_option
def quota(file: Path, tenant_id: str, quota: int | None, *, as_json: bool) -> None:
    """Set the most bytes of content a tenant may hold: 500GB, 2TiB, or none."""
    _change(
        file, lambda administration: administration.set_quota(tenant_id, quota), as_json=as_json
    )


@tenant.command()
@config_option
@tenant_argument
@click.option("--purge", is_flag=True, help="Delete its files and keys too, for ever.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def delete(file: Path, tenant_id: str, *, purge: bool, yes: bool, as_json: bool) -> None:
    """Remove a tenant: its credentials and grant and, to purge, its data.

    Interrupted, it is gone on with by the service, or by the same command again. What was to be
    purged still is, also where --purge is left out; what was to be kept is purged if it is given.
    """
    with in_words(as_json=as_json), open_administration(load(file)) as administration:
        found = administration.tenant(tenant_id)
        used = administration.used(tenant_id)
        what = f"tenant {tenant_id} with {used.files} files, {used.bytes} bytes"
        if not yes and (purge or found.status is not Status.DELETING):
            consequence = "Its files are deleted for ever." if purge else "Its files stay."
            click.confirm(f"Delete {what}? {consequence}", abort=True, err=True)
        administration.delete_tenant(tenant_id, purge=purge)
        left = [job.note for job in administration.jobs_left(tenant_id)]
    words = f"Tenant {tenant_id} is deleted."
    if left:
        words = f"Tenant {tenant_id} is being deleted; the service goes on with it ({left[0]})."
    say({"id": tenant_id, "deleted": not left, "left": left}, words, as_json=as_json)


def _change(file: Path, change: Callable[[Administration], Tenant], *, as_json: bool) -> None:
    """Change one tenant, and say what it is now."""
    with in_words(as_json=as_json), open_administration(load(file)) as administration:
        found = change(administration)
    words = f"Tenant {found.id} is {found.status.value}, with {_limit(found)}."
    say(_facts(found), words, as_json=as_json)


def _limit(found: Tenant) -> str:
    return "no quota" if found.quota is None else f"a quota of {found.quota} bytes"


def _facts(found: Tenant) -> dict[str, object]:
    return {
        "id": found.id,
        "status": found.status.value,
        "bucket": found.bucket,
        "quota": found.quota,
        "partner": found.partner,
        "created": moment(found.created),
    }


def _used(used: Used) -> dict[str, object]:
    return {
        "used_bytes": used.bytes,
        "stored_bytes": used.stored,
        "files": used.files,
        "counted": moment(used.counted),
    }
