"""``storj-bridge check``: is everything there that ``serve`` needs? It changes nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from bridge.app import keks_of, open_database, secret_of
from bridge.cli.options import config_option
from bridge.cli.output import Exit, json_option, say
from bridge.serve.tls import Certificates, TlsError
from bridge.settings import Settings, SettingsError, Store, load
from bridge.state.api import StateError
from bridge.store.api import StoreError
from bridge.store.storj.access import Access
from bridge.store.storj.library import LibraryError
from bridge.store.storj.project import product
from bridge.store.storj.refusals import GrantError
from bridge.stores import CannotOpen, agent_of, grant_text, open_store, places_of
from bridge.tenants.secret_files import is_private
from bridge.tenants.vault import Keyrings, VaultError


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was looked at, whether it will do, and why."""

    name: str
    ok: bool
    words: str


@click.command()
@config_option
@json_option
@click.pass_context
def check(context: click.Context, file: Path, *, as_json: bool) -> None:
    """Look at configuration, keys, store, vault and database, and say what is wrong.

    Exit code 0 when all is well, 1 otherwise.
    """
    verdicts = _verdicts(file)
    well = all(verdict.ok for verdict in verdicts)
    facts = {"ok": well, "checks": [asdict(verdict) for verdict in verdicts]}
    lines = [f"{'ok  ' if v.ok else 'BAD '} {v.name:<14} {v.words}" for v in verdicts]
    say(facts, "\n".join(lines), as_json=as_json)
    context.exit(Exit.OK if well else Exit.FOUND)


def _verdicts(file: Path) -> list[Verdict]:
    try:
        settings = load(file)
    except SettingsError as error:
        return [Verdict("configuration", ok=False, words=problem) for problem in error.problems]
    declared = settings.tenant is not None
    looks: list[tuple[str, Callable[[Settings], str]]] = [
        *([("secret", _secret)] if declared else []),
        ("keys", _keys),
        *([("grant", _grant)] if declared and settings.store.kind == "storj" else []),
        *([("store", _store), ("vault", _vault)] if declared else []),
        ("database", _database),
    ]
    if settings.tls.certificate is not None:
        looks.append(("tls", _tls))
    verdicts = [Verdict("configuration", ok=True, words=f"{file} is valid")]
    for name, look in looks:
        try:
            verdicts.append(Verdict(name, ok=True, words=look(settings)))
        except (CannotOpen, StoreError, StateError, VaultError, TlsError) as error:
            words = str(error).removeprefix(f"{name}: ")
            verdicts.append(Verdict(name, ok=False, words=words))
    return verdicts


def _secret(settings: Settings) -> str:
    secret_of(settings)
    return f"user {settings.declared.id} can sign in" + _exposed(settings.declared.secret_file)


def _keys(settings: Settings) -> str:
    keks = keks_of(settings)
    return f"key {keks[0].id.hex()} is configured" + _exposed(settings.keys.kek_file)


def _grant(settings: Settings) -> str:
    """What the access grant says of itself; that it was revoked, only the store's answer tells."""
    try:
        facts = Access.parse(grant_text(settings.store)).facts
    except (GrantError, LibraryError) as error:
        raise CannotOpen(str(error)) from None
    unfit = facts.unfit(places_of(settings), time.time())
    words = "; ".join(facts.describe(time.time()))
    if unfit is not None:
        raise CannotOpen(f"{unfit} ({words})")
    return words + _exposed(settings.store.grant_file)


def _store(settings: Settings) -> str:
    store = open_store(settings)
    try:
        store.probe()
    finally:
        store.close()
    where = {"local": settings.store.path, "storj": f"bucket {settings.store.bucket} on Storj"}
    credited = _credited(settings.store) if settings.store.kind == "storj" else ""
    return f"{where.get(settings.store.kind, 'memory')} answers{credited}"


def _credited(configured: Store) -> str:
    """Whom Storj credits with the bucket, where the grant may know."""
    assert configured.bucket is not None, "settings refuse a storj store without a bucket"
    ours = agent_of(configured)
    try:
        with Access.parse(grant_text(configured)).open(ours) as project:
            theirs = project.bucket_facts(configured.bucket).attribution
    except GrantError:
        return ""
    words = f", credited to {theirs or 'nobody'}"
    if configured.partner and product(theirs) != product(ours):
        words += f", not to {configured.partner}: only an empty bucket can be given over, by init"
    return words


def _vault(settings: Settings) -> str:
    store = open_store(settings)
    try:
        Keyrings(store, keks_of(settings), settings.declared.id).check()
    finally:
        store.close()
    return f"the keyring of tenant {settings.declared.id} opens"


def _database(settings: Settings) -> str:
    path = settings.state.path
    if path is None:
        with open_database(settings) as state:
            state.probe()
            return f"{state} answers" + _exposed(settings.state.url_file)
    if not path.exists():
        if not path.parent.is_dir():
            raise CannotOpen(f"{path.parent} does not exist")
        return f"{path} does not exist yet; it is made at the first start"
    with open_database(settings) as state:
        state.probe()
    return f"{path} answers"


def _tls(settings: Settings) -> str:
    certificate, key = settings.tls.certificate, settings.tls.key
    assert certificate is not None
    assert key is not None
    Certificates(certificate, key)
    return f"{certificate} and its key fit"


def _exposed(file: Path | None) -> str:
    if file is not None and file.exists() and not is_private(file):
        return f", but others can read {file}: chmod 600 it"
    return ""
