"""``storj-bridge token``: what opens the admin API."""

from __future__ import annotations

import time
from pathlib import Path

import click

from bridge.app import open_administration
from bridge.cli.options import When, config_option, moment
from bridge.cli.output import in_words, json_option, say
from bridge.settings import load
from bridge.tenants.api import Token


@click.group()
def token() -> None:
    """Make, list and revoke tokens of the admin API. The service may run beside it."""


@token.command()
@config_option
@click.argument("label")
@click.option(
    "--tenant",
    "tenant_id",
    help="Bind it to this tenant, whose credentials it makes and revokes; else it is the "
    "operator's and may do everything.",
)
@click.option("--expires", type=When(), help="When it ends: 30d, 12h, 2027-01-31.")
@json_option
def create(
    file: Path, label: str, *, tenant_id: str | None, expires: float | None, as_json: bool
) -> None:
    """Make a token. LABEL says what it is for. The token is shown this once."""
    with in_words(as_json=as_json), open_administration(load(file)) as administration:
        made = administration.create_token(label, tenant_id=tenant_id, expires=expires)
    words = f"Id     {made.token.id}\nToken  {made.text}  (shown this once)"
    say(_facts(made.token) | {"token": made.text}, words, as_json=as_json)


@token.command("list")
@config_option
@json_option
def list_(file: Path, *, as_json: bool) -> None:
    """List all tokens."""
    with in_words(as_json=as_json), open_administration(load(file)) as administration:
        found = administration.tokens()
    lines = [
        f"{each.id}  {each.tenant or 'the operator':<24} {_end(each):<28} {each.label}"
        for each in found
    ]
    facts = {"tokens": [_facts(each) for each in found]}
    say(facts, "\n".join(lines) or "There is no token yet: token create", as_json=as_json)


@token.command()
@config_option
@click.argument("token_id", metavar="ID")
@json_option
def revoke(file: Path, token_id: str, *, as_json: bool) -> None:
    """Revoke a token."""
    with in_words(as_json=as_json), open_administration(load(file)) as administration:
        administration.revoke_token(token_id)
    say({"id": token_id, "revoked": True}, f"Token {token_id} is revoked.", as_json=as_json)


def _expired(found: Token) -> bool:
    return found.expires is not None and found.expires <= time.time()


def _end(found: Token) -> str:
    if found.expires is None:
        return "for ever"
    return f"{'expired ' if _expired(found) else ''}{moment(found.expires)}"


def _facts(found: Token) -> dict[str, object]:
    return {
        "id": found.id,
        "label": found.label,
        "tenant": found.tenant,
        "created": moment(found.created),
        "expires": moment(found.expires),
        "expired": _expired(found),
    }
