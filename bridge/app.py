"""Composition: builds the object graph once, from settings.

Everything below is given what it needs by constructors; this is the one place that knows all
of it. The order of opening is the order of the layers, and closing goes the other way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from typing import Self

from bridge.crypto.errors import CryptoError
from bridge.crypto.keyring import Kek
from bridge.files.errors import FileError
from bridge.readiness import Ask, Readiness, missing_key
from bridge.settings import Settings
from bridge.state.api import StateError
from bridge.state.database import DatabaseState, open_state
from bridge.storage import SharedStorage, StorjStorage, storage_of, unknown_tenants
from bridge.store.api import StoreError
from bridge.store.closing import Closing
from bridge.store.storj.library import LibraryError
from bridge.store.storj.refusals import GrantError
from bridge.stores import CannotOpen, Stores, late_seconds
from bridge.telemetry.metrics import Metrics
from bridge.tenants.api import NoSuchTenant, Tenant
from bridge.tenants.configured import ConfiguredTenant, NewVault
from bridge.tenants.keks import BadKek, new_kek, parse_keks
from bridge.tenants.opened import OpenTenant, OpenTenants
from bridge.tenants.records import Records
from bridge.tenants.rotation import RotationError
from bridge.tenants.secret_files import SecretFileError, read_or_make, read_secret
from bridge.tenants.service import TenantService
from bridge.tenants.storage import Storage
from bridge.tenants.vault import Keyrings, VaultError


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
    tenant = settings.declared
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


def make_key(settings: Settings, text: str, has_vault: Callable[[], bool]) -> None:
    """Write ``text`` as the operator's key where its file is missing.

    Not where a vault is sealed under the missing one: a new key would look like the right one and
    open nothing. Raises CannotOpen.
    """
    file = settings.keys.kek_file
    if settings.keys.kek is not None or file is None:
        return
    try:
        # Looked for again last: somebody else may have made key and vault meanwhile.
        if not file.exists() and has_vault() and not file.exists():
            raise CannotOpen(
                f"keys: {file} is missing, and the vault in this store is sealed under it: put "
                "your copy back"
            )
        read_or_make(file, lambda: text)
    except SecretFileError as error:
        raise CannotOpen(f"keys: {error}") from None
    except OSError as error:
        raise CannotOpen(f"keys: {file}: {error.strerror}") from None


def database_url(settings: Settings) -> str | None:
    """PostgreSQL's URL, which may hold a password; None for SQLite. Raises CannotOpen."""
    state = settings.state
    if state.path is not None:
        return None
    try:
        url = "" if state.url_file is None else read_secret(state.url_file)
    except SecretFileError as error:
        raise CannotOpen(f"state: {error}") from None
    if state.url is not None:
        url = state.url.get_secret_value()
    if not url.startswith(("postgresql://", "postgres://")):
        source = "STORJ_BRIDGE_STATE__URL" if state.url_file is None else state.url_file
        raise CannotOpen(f"state: {source}: a URL of PostgreSQL begins with postgresql://")
    return url


def open_database(settings: Settings) -> DatabaseState:
    """The state database. Raises CannotOpen."""
    path, url = settings.state.path, database_url(settings)
    late = late_seconds(settings.store)
    try:
        if path is not None:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            return open_state(path, linger=late)
        assert url is not None, "settings refuse a state without a place"
        return open_state(url, linger=late)
    except OSError as error:
        raise CannotOpen(f"state: {error.filename}: {error.strerror}") from None
    except StateError as error:
        raise CannotOpen(f"state: {error}") from None


@contextmanager
def told() -> Iterator[None]:
    """Say which part it is that cannot be used: raise CannotOpen for what parts raise.

    A TenantError says by itself what is wrong.
    """
    try:
        yield
    except (VaultError, CryptoError) as error:
        raise CannotOpen(f"keys: {error}") from None
    except (StoreError, GrantError, LibraryError) as error:
        raise CannotOpen(f"store: {error}") from None
    except StateError as error:
        raise CannotOpen(f"state: {error}") from None
    except (RotationError, FileError) as error:
        raise CannotOpen(str(error)) from None


@dataclass(frozen=True, slots=True)
class Services(Closing):
    """Everything below the doors, open."""

    settings: Settings
    stores: Stores
    state: DatabaseState
    storage: SharedStorage | StorjStorage
    keks: tuple[Kek, ...]
    administration: TenantService
    tenants: OpenTenants
    made: NewVault | None
    """The configured tenant's vault, where this very call made it."""
    closing: ExitStack

    @classmethod
    def open(
        cls,
        settings: Settings,
        metrics: Metrics | None = None,
        *,
        new_key: str | None = None,
        configured: bool = True,
        seals: bool = True,
    ) -> Self:
        """Open all parts; ``new_key``: make what the configured tenant lacks.

        That is the operator's key, written to its file where there is none, the store's folder or
        bucket, and the vault. A service makes none of them by itself: a disk that is not
        mounted would look like a new one, and nobody would be shown the recovery identity.
        ``configured``: open that tenant; not where others are managed, though its store is away.
        ``seals``: refuse keys by which nothing opens that is kept: what they seal would be lost.
        Raises CannotOpen, TenantError.
        """
        create = new_key is not None
        with ExitStack() as opened, told():
            stores = Stores(settings, metrics, create=create)
            opened.callback(stores.close)
            storage = storage_of(settings, stores, create=create)
            state = open_database(settings)
            opened.callback(state.close)
            if new_key is not None:
                make_key(settings, new_key, lambda: _has_vault(settings, storage, state))
            keks = keks_of(settings)
            administration = TenantService(state, storage, keks)
            if seals and (words := missing_key(administration.records, keks)):
                raise CannotOpen(f"keys: {words}")
            tenants = OpenTenants(
                administration.records, storage, state, keks, cache_names=settings.caches.names
            )
            opened.callback(tenants.close)
            administration.make_folder = tenants.make_folder
            administration.gone = tenants.drop
            made = None
            if settings.tenant is not None:
                administration.declared = settings.tenant.id
            if settings.tenant is not None and configured:
                kept = ConfiguredTenant(administration, storage, keks, settings.tenant.id)
                made = kept.keep(secret_of(settings), create=create)
                with suppress(NoSuchTenant):  # it is being deleted
                    tenants.tenant(settings.tenant.id)  # what does not open is told at the start
            return cls(
                settings,
                stores,
                state,
                storage,
                keks,
                administration,
                tenants,
                made,
                opened.pop_all(),
            )

    def close(self) -> None:
        """Close all parts, the last opened first."""
        self.closing.close()

    def tenant(self, tenant_id: str | None = None) -> OpenTenant:
        """A tenant, open; None: the configured one.

        Raises CannotOpen, TenantError, SettingsError.
        """
        with told():
            return self.tenants.tenant(tenant_id or self.settings.declared.id)

    def unknown(self) -> list[str]:
        """Tenants that the store keeps and the database does not know; on Storj nobody can tell.

        There it takes a root grant to list them. Raises CannotOpen.
        """
        if self.settings.store.kind == "storj":
            return []

        def known() -> set[str | None]:
            found = {each.id for each in self.administration.tenants()}
            return {*found, self.administration.declared}

        with told():
            return unknown_tenants(self.stores, known)

    def checks(self) -> dict[str, Ask]:
        """What readiness asks of each part."""
        return Readiness(
            self.settings,
            self.storage,
            self.state,
            self.administration.records,
            self.tenants,
            self.keks,
        ).checks()

    def watch(self, metrics: Metrics) -> None:
        """Offer the parts' own figures."""
        tenants = self.tenants

        def total(of: Callable[[OpenTenant], int]) -> Callable[[], int]:
            return lambda: sum(map(of, tenants))

        metrics.watch("tenants_open", "Tenants in use.", lambda: len(list(tenants)))
        metrics.watch(
            "reaper_backlog",
            "Removed folders not emptied yet.",
            total(lambda opened: opened.tree.reaper.backlog),
        )
        metrics.watch("locks", "WebDAV locks held.", total(lambda opened: opened.locks))
        metrics.watch_total("cache_hits", "Look-ups answered from memory.", lambda: tenants.hits)
        metrics.watch_total(
            "cache_misses", "Look-ups that asked the store.", lambda: tenants.misses
        )


def _has_vault(settings: Settings, storage: Storage, state: DatabaseState) -> bool:
    """Whether anything is sealed under a key already."""
    if Records(state.rows).tenants():
        return True
    if settings.tenant is None:
        return False
    tenant = Tenant(settings.tenant.id, bucket=storage.bucket_for(None))
    with closing(storage.open(tenant, "")) as store:
        return Keyrings(store, (), tenant.id).any()


def create_vault(settings: Settings) -> NewVault | None:
    """Make the configured tenant's vault where there is none.

    Returns it if it did. Raises CannotOpen.
    """
    with Services.open(settings, new_key=new_kek()) as services:
        return services.made


@contextmanager
def open_administration(settings: Settings, *, seals: bool = False) -> Iterator[TenantService]:
    """What commands need to manage tenants; ``seals``: to make something that is sealed.

    To look, and to take away, the right key need not be at hand. Raises CannotOpen, TenantError.
    """
    with Services.open(settings, configured=False, seals=seals) as services, told():
        yield services.administration
