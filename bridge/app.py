"""Composition: builds the object graph once, from settings.

Everything below is given what it needs by constructors; this is the one place that knows all
of it. The order of opening is the order of the layers, and closing goes the other way.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Self

from bridge import __version__
from bridge.crypto.keyring import Kek
from bridge.files.vault import Vault
from bridge.files.vault_tree import VaultTree
from bridge.settings import Settings
from bridge.state.api import StateError
from bridge.state.database import DatabaseState, open_state
from bridge.store.api import ObjectStore, StoreError
from bridge.store.closing import Closing
from bridge.store.deadline import deadline
from bridge.stores import CannotOpen, late_seconds, open_store
from bridge.telemetry.metrics import Metrics
from bridge.tenants.api import Credential, Tenant
from bridge.tenants.configured import ConfiguredCredential
from bridge.tenants.keks import BadKek, new_kek, parse_keks
from bridge.tenants.secret_files import SecretFileError, read_or_make, read_secret
from bridge.tenants.vault import Keyrings, VaultError

CHECK_SECONDS = 4.0
"""Longest a question of readiness is tried again for; less than it may take in all."""


def kek_text(settings: Settings) -> str:
    """The operator's keys as they are written. Raises CannotOpen."""
    keys = settings.keys
    if keys.kek is not None:
        return keys.kek.get_secret_value()
    if keys.kek_file is None:
        raise CannotOpen(
            "keys: there is no key: set keys.kek_file, or STORJ_BRIDGE_KEYS__KEK in the environment"
        )
    try:
        return read_secret(keys.kek_file)
    except SecretFileError as error:
        raise CannotOpen(f"keys: {error}") from None


def keks_of(settings: Settings) -> tuple[Kek, ...]:
    """The operator's keys. Raises CannotOpen."""
    try:
        return parse_keks(kek_text(settings))
    except BadKek as error:
        source = settings.keys.kek_file if settings.keys.kek is None else "STORJ_BRIDGE_KEYS__KEK"
        raise CannotOpen(f"keys: {source}: {error}") from None


def secret_of(settings: Settings) -> str:
    """The tenant's secret. Raises CannotOpen."""
    tenant = settings.tenant
    try:
        if tenant.secret is not None:
            return tenant.secret.get_secret_value()
        if tenant.secret_file is not None:
            return read_secret(tenant.secret_file)
    except SecretFileError as error:
        raise CannotOpen(f"tenant: {error}") from None
    raise CannotOpen(
        "tenant: there is no secret: set tenant.secret_file, or STORJ_BRIDGE_TENANT__SECRET in the "
        "environment"
    )


def make_key(settings: Settings, store: ObjectStore, text: str) -> None:
    """Write ``text`` as the operator's key where its file is missing.

    Not where a vault is sealed under the missing one: a new key would look like the right one and
    open nothing. Raises CannotOpen.
    """
    file = settings.keys.kek_file
    if settings.keys.kek is not None or file is None:
        return
    try:
        # Looked for again last: somebody else may have made key and vault meanwhile.
        if not file.exists() and _has_vault(settings, store) and not file.exists():
            raise CannotOpen(
                f"keys: {file} is missing, and the vault in this store is sealed under it: put "
                "your copy back"
            )
        read_or_make(file, lambda: text)
    except SecretFileError as error:
        raise CannotOpen(f"keys: {error}") from None
    except OSError as error:
        raise CannotOpen(f"keys: {file}: {error.strerror}") from None


def _has_vault(settings: Settings, store: ObjectStore) -> bool:
    try:
        return Keyrings(store, (), settings.tenant.id).any()
    except StoreError as error:
        raise CannotOpen(f"store: {error}") from None


def open_keyrings(settings: Settings, store: ObjectStore) -> Keyrings:
    """The tenant's keyrings in ``store``. Raises CannotOpen."""
    return Keyrings(store, keks_of(settings), settings.tenant.id)


def open_database(settings: Settings) -> DatabaseState:
    """The state database. Raises CannotOpen."""
    path = settings.state.path
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return open_state(path, linger=late_seconds(settings.store))
    except OSError as error:
        raise CannotOpen(f"state: {path.parent}: {error.strerror}") from None
    except StateError as error:
        raise CannotOpen(f"state: {error}") from None


@dataclass(frozen=True, slots=True)
class Services(Closing):
    """Everything below the doors, open."""

    store: ObjectStore
    state: DatabaseState
    keyrings: Keyrings
    tree: VaultTree
    credential: Credential
    authenticator: ConfiguredCredential
    identity: str | None
    """The recovery identity, where this very call made the vault."""
    closing: ExitStack

    @classmethod
    def open(cls, settings: Settings, metrics: Metrics, *, new_key: str | None = None) -> Self:
        """Open all parts; ``new_key``: make the vault where there is none. Raises CannotOpen.

        That is the operator's key, written to its file where there is none either. A service never
        makes a vault by itself: a disk that is not mounted would look like a new one, and its
        recovery identity would be shown to nobody.
        """
        create = new_key is not None
        tenant = Tenant(settings.tenant.id)
        credential = Credential(tenant)
        authenticator = ConfiguredCredential(credential, secret_of(settings))
        with ExitStack() as opened:
            store = open_store(settings, metrics, create=create)
            opened.callback(store.close)
            if new_key is not None:
                make_key(settings, store, new_key)
            keyrings = open_keyrings(settings, store)
            try:
                vault_keys, identity = keyrings.open(create=create)
            except VaultError as error:
                raise CannotOpen(f"keys: {error}") from None
            except StoreError as error:
                raise CannotOpen(f"store: {error}") from None
            state = open_database(settings)
            opened.callback(state.close)
            vault = Vault(
                store,
                vault_keys,
                state.tree(tenant.id),
                prefix=keyrings.prefix,
                cache_names=settings.caches.names,
            )
            tree = VaultTree(vault)
            return cls(
                store,
                state,
                keyrings,
                tree,
                credential,
                authenticator,
                identity,
                opened.pop_all(),
            )

    def close(self) -> None:
        """Close all parts, the last opened first."""
        self.closing.close()

    def checks(self) -> dict[str, Callable[[], None]]:
        """What readiness asks of each part."""

        def bounded(ask: Callable[[], None]) -> Callable[[], None]:
            def within_time() -> None:
                with deadline(CHECK_SECONDS):
                    ask()

            return within_time

        return {
            "store": bounded(self.store.probe),
            "state": self.state.probe,
            "keys": bounded(self.keyrings.check),
        }

    def watch(self, metrics: Metrics) -> None:
        """Offer the parts' own figures."""
        cache = self.tree.vault.cache
        locks = self.state.locks(self.credential.tenant.id)
        metrics.watch_total("cache_hits", "Look-ups answered from memory.", lambda: cache.hits)
        metrics.watch_total("cache_misses", "Look-ups that asked the store.", lambda: cache.misses)
        metrics.watch(
            "reaper_backlog", "Removed folders not emptied yet.", lambda: self.tree.reaper.backlog
        )
        metrics.watch(
            "locks", "WebDAV locks held.", lambda: len(locks.covering("/", children=True))
        )


def create_vault(settings: Settings) -> str | None:
    """Make the vault where there is none; returns the recovery identity if it did.

    Raises CannotOpen.
    """
    with Services.open(settings, Metrics(__version__), new_key=new_kek()) as services:
        return services.identity
