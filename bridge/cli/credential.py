"""``storj-bridge credential``: what clients sign in with."""

from __future__ import annotations

import time
from pathlib import Path

import click

from bridge.app import open_administration
from bridge.cli.options import Rights, When, config_option, moment, rights_words, tenant_argument
from bridge.cli.output import in_words, json_option, say
from bridge.settings import load
from bridge.tenants.api import ALL_RIGHTS, AlreadyThere, Credential, Right


@click.group()
def credential() -> None:
    """Make, list and revoke what clients sign in with. The service may run beside it."""


_label_argument = click.argument("label", default="")


@credential.command()
@config_option
@tenant_argument
@_label_argument
@click.option(
    "--rights",
    type=Rights(),
    default=rights_words(ALL_RIGHTS),
    show_default=True,
    help="What it may do; docs/rights.md says what each is good for.",
)
@click.option("--root", default="/", show_default=True, help="The folder that is all it sees.")
@click.option("--expires", type=When(), help="When it ends: 30d, 12h, 2027-01-31.")
@json_option
def create(
    file: Path,
    tenant_id: str,
    label: str,
    *,
    rights: Right,
    root: str,
    expires: float | None,
    as_json: bool,
) -> None:
    """Make a credential; its user name is TENANT or TENANT.LABEL. The secret is shown once."""
    with in_words(as_json=as_json), open_administration(load(file), seals=True) as administration:
        try:
            made = administration.create_credential(
                tenant_id, label, rights=rights, root=root, expires=expires
            )
        except AlreadyThere as error:
            if any(
                each.label == label and _expired(each)
                for each in administration.credentials(tenant_id)
            ):
                raise AlreadyThere(f"{error} (it has expired; revoke it first)") from None
            raise
    words = f"User name  {made.credential.name}\nPassword   {made.secret}  (shown this once)"
    say(_facts(made.credential) | {"secret": made.secret}, words, as_json=as_json)


@credential.command("list")
@config_option
@tenant_argument
@json_option
def list_(file: Path, tenant_id: str, *, as_json: bool) -> None:
    """List a tenant's credentials."""
    with in_words(as_json=as_json), open_administration(load(file)) as administration:
        found = administration.credentials(tenant_id)
    lines = [
        f"{each.name:<32} {rights_words(each.rights):<24} {each.root:<24} {_end(each)}".rstrip()
        for each in found
    ]
    words = "\n".join(lines) or f"Tenant {tenant_id} has no credential yet: credential create"
    say({"credentials": [_facts(each) for each in found]}, words, as_json=as_json)


@credential.command()
@config_option
@tenant_argument
@_label_argument
@json_option
def revoke(file: Path, tenant_id: str, label: str, *, as_json: bool) -> None:
    """Let nobody sign in with a credential any more: within 5 seconds, for ever."""
    with in_words(as_json=as_json), open_administration(load(file)) as administration:
        administration.revoke_credential(tenant_id, label)
        left = [job.note for job in administration.jobs_left(tenant_id)]
    name = f"{tenant_id}.{label}" if label else tenant_id
    words = f"Credential {name} is revoked."
    if left:
        words += f" Its grant is revoked as soon as the satellite answers ({left[0]})."
    say({"username": name, "revoked": True, "left": left}, words, as_json=as_json)


def _expired(found: Credential) -> bool:
    return found.expires is not None and found.expires <= time.time()


def _end(found: Credential) -> str:
    if found.expires is None:
        return ""
    return f"{'expired' if _expired(found) else 'expires'} {moment(found.expires)}"


def _facts(found: Credential) -> dict[str, object]:
    return {
        "username": found.name,
        "tenant": found.tenant.id,
        "label": found.label,
        "rights": rights_words(found.rights).split(","),
        "root": found.root,
        "created": moment(found.created),
        "expires": moment(found.expires),
        "expired": _expired(found),
    }
