"""``storj-bridge check``: is everything there that ``serve`` needs? It changes nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import click

from bridge.app import Services, keks_of, open_database, secret_of, told
from bridge.cli.check_tenants import look_at_tenants, look_without_database
from bridge.cli.options import config_option
from bridge.cli.output import Exit, in_words, json_option, say
from bridge.cli.verdict import Verdict
from bridge.serve.tls import Certificates, TlsError
from bridge.settings import Settings, SettingsError, Store, load
from bridge.state.api import StateError
from bridge.store.api import StoreError
from bridge.store.storj.access import Access
from bridge.store.storj.library import LibraryError
from bridge.store.storj.project import product
from bridge.store.storj.refusals import GrantError
from bridge.stores import CannotOpen, Stores, agent_of, grant_text, open_store, places_of
from bridge.tenants.api import NoSuchTenant
from bridge.tenants.secret_files import is_private
from bridge.tenants.vault import Keyrings, VaultError


@click.command()
@config_option
@click.option("--tenant", "tenant_id", metavar="TENANT", help="Of all tenants look at this one.")
@json_option
@click.pass_context
def check(context: click.Context, file: Path, *, tenant_id: str | None, as_json: bool) -> None:
    """Look at configuration, keys, store, vault, database and tenants, and say what is wrong.

    Exit code 0 when all is well, 1 otherwise.
    """
    with in_words(as_json=as_json):
        verdicts = _verdicts(file, tenant_id)
    well = all(verdict.ok for verdict in verdicts)
    facts = {"ok": well, "checks": [asdict(verdict) for verdict in verdicts]}
    lines = [f"{'ok  ' if v.ok else 'BAD '} {v.name:<14} {v.words}" for v in verdicts]
    say(facts, "\n".join(lines), as_json=as_json)
    context.exit(Exit.OK if well else Exit.FOUND)


def _verdicts(file: Path, tenant_id: str | None) -> list[Verdict]:
    """Raises NoSuchTenant for ``tenant_id``."""
    try:
        settings = load(file)
    except SettingsError as error:
        return [Verdict("configuration", ok=False, words=problem) for problem in error.problems]
    declared = settings.tenant is not None
    looks: list[tuple[str, Callable[[Settings], str]]] = [
        *([("secret", _secret)] if declared else []),
        ("keys", _keys),
        *([("grant", _grant)] if declared and settings.store.kind == "storj" else []),
        *([("store", _store)] if declared or settings.store.kind != "storj" else []),
        *([("vault", _vault)] if declared else []),
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
    return verdicts + _tenants(settings, tenant_id, {v.name for v in verdicts if not v.ok})


def _tenants(settings: Settings, tenant_id: str | None, bad: set[str]) -> list[Verdict]:
    """What can be said of tenants where ``bad`` will not do. Raises NoSuchTenant."""
    needed = {"keys", "database", *([] if settings.store.kind == "storj" else ["store"])}
    path = settings.state.path
    if bad & needed:
        words = f"not looked at, for want of {' and '.join(sorted(bad & needed))}"
        return [Verdict("tenants", ok=False, words=words)]
    if path is not None and not path.exists() and tenant_id is not None:
        raise NoSuchTenant(f"there is no tenant {tenant_id}")
    try:
        if path is not None and not path.exists():  # to look there would make it
            with told():
                return look_without_database(settings)
        with Services.open(settings, configured=False) as services, told():
            return look_at_tenants(services, tenant_id)
    except CannotOpen as error:
        return [Verdict("tenants", ok=False, words=str(error))]


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
    with ExitStack() as opened:
        if settings.tenant is not None:
            store = open_store(settings)
        else:  # all tenants have the same one
            stores = opened.enter_context(Stores(settings))
            store = stores.open("check", bucket="", grant=None)
        opened.callback(store.close)
        store.probe()
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
