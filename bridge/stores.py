"""Opens tenants' stores, of the kind that the settings name, in their wrappers."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple, TypeVar

import structlog

from bridge import __version__
from bridge.settings import Settings, Store
from bridge.store.api import ObjectStore, StoreError, Unavailable
from bridge.store.closing import Closing
from bridge.store.limited import Gate, LimitedStore
from bridge.store.local import LocalStore
from bridge.store.logged import LoggedStore
from bridge.store.memory import MemoryStore
from bridge.store.metered import MeteredStore
from bridge.store.retrying import RetryingStore
from bridge.store.storj.access import Access
from bridge.store.storj.accounting import Account
from bridge.store.storj.binding import limit_memory
from bridge.store.storj.facts import Place
from bridge.store.storj.library import LibraryError
from bridge.store.storj.refusals import GrantError
from bridge.store.storj.store import SEGMENT, StorjOptions, StorjStore
from bridge.store.wrapping import Operation, WrappedStore
from bridge.telemetry.metrics import Metrics
from bridge.tenants.secret_files import SecretFileError, read_secret
from bridge.tenants.vault import bridge_prefix, vault_prefix

T = TypeVar("T")

_LATE = 17.0
"""Seconds: the kernel repeats for 15 what it has not got rid of (``native/data_dial.go``)."""

_OTHER_BYTES = 192 << 20
"""Memory of Storj's client for all but uploads; two thirds of it for reading ahead."""


class CannotOpen(Exception):
    """Store, state, keys or vault cannot be used; the message says which, why and what to do."""


class Stores(Closing):
    """The stores of this process: what they share is made here, once.

    On Storj each tenant, and each of its credentials, has a store of its own, by a grant; they
    share connections and memory. Otherwise all use one. All their calls pass one gate, where
    tenants take turns.
    """

    def __init__(
        self, settings: Settings, metrics: Metrics | None = None, *, create: bool = False
    ) -> None:
        """``create``: make the folder of a local store where it is missing.

        Else a disk that is not mounted would get an empty store under its mount point. Raises
        CannotOpen.
        """
        self._settings = settings.store
        self._metrics = metrics
        self._gate = Gate(self._settings.calls_at_once)
        self._told = None  # only a service has set up logs; other commands speak for themselves
        if structlog.is_configured() and settings.log.level != "error":
            self._told = settings.log.level
        self._shared: ObjectStore | None = None
        if self._settings.kind == "memory":
            self._shared = MemoryStore()
        elif self._settings.kind == "local":
            self._shared = _open_local(self._settings, create)
        else:
            try:
                limit_memory(
                    settings.limits.upload_bytes + _OTHER_BYTES,
                    upload_memory(settings).spare // SEGMENT,
                )
            except LibraryError as error:
                raise CannotOpen(f"store: {error}") from None

    def open(
        self, tenant_id: str, *, bucket: str, grant: str | None, partner: str = ""
    ) -> ObjectStore:
        """A store for this tenant: on Storj in ``bucket``, by ``grant``, its own or a narrower one.

        ``partner``: whom Storj credits, "" for the configured one. Nothing is asked of Storj, and
        it costs little; dropped or closed, it gives back all that it holds, and ends nobody else's
        calls. Raises CannotOpen without a grant on Storj, Forbidden for what is none.
        """
        if self._shared is not None:
            return self._wrapped(_Lent(self._shared), tenant_id)
        if grant is None:
            raise CannotOpen(f"store: tenant {tenant_id} has no access grant")
        options = StorjOptions(
            user_agent=agent_of(self._settings, partner),
            home=vault_prefix(tenant_id),
            segments_at_once=self._settings.segments_at_once,
            call_seconds=self._settings.call_seconds,
        )
        return self._wrapped(StorjStore(grant, bucket, options), tenant_id)

    def _wrapped(self, opened: ObjectStore, tenant_id: str) -> ObjectStore:
        """Each attempt of a call takes its turn, is measured and told of."""
        patience = self._settings.retry_seconds
        if self._told is not None:  # failures are warnings
            opened = LoggedStore(opened, calls=self._told == "debug")
        opened = LimitedStore(opened, self._gate, line=tenant_id, patience=patience)
        if self._metrics is not None:
            opened = MeteredStore(opened, self._metrics)
        return RetryingStore(opened, limit=patience)

    def close(self) -> None:
        """Close the store that all share. A store on Storj is closed by whoever opened it."""
        if self._shared is not None:
            self._shared.close()


class _Lent(WrappedStore):
    """A store that all share, lent to one: closing it closes nothing of the others."""

    def __init__(self, inner: ObjectStore) -> None:
        super().__init__(inner)
        self._closed = False

    def around(self, operation: Operation, key: str, call: Callable[[], T]) -> T:
        """Make one call, while this is open."""
        if self._closed:
            raise Unavailable("the store is closed", key=key)
        return call()

    def close(self) -> None:
        self._closed = True


class _Only(WrappedStore):
    """The one store that was opened: with it goes all that others would have shared."""

    def __init__(self, inner: ObjectStore, stores: Stores) -> None:
        super().__init__(inner)
        self._stores = stores

    def close(self) -> None:
        super().close()
        self._stores.close()


def open_store(
    settings: Settings, metrics: Metrics | None = None, *, create: bool = False
) -> ObjectStore:
    """The configured tenant's store, and no other.

    ``create``: make its folder or bucket where it is missing. Raises CannotOpen.
    """
    stores = Stores(settings, metrics, create=create)
    configured = settings.store
    grant = usable_grant(settings, create) if configured.kind == "storj" else None
    try:
        opened = stores.open(settings.declared.id, bucket=configured.bucket or "", grant=grant)
    except StoreError as error:
        raise CannotOpen(f"store: {error}") from None
    return _Only(opened, stores)


def _open_local(configured: Store, create: bool) -> ObjectStore:
    assert configured.path is not None, "settings refuse a local store without a path"
    if not create and not configured.path.is_dir():
        raise CannotOpen(
            f"store: {configured.path} does not exist: make it with storj-bridge init, or "
            "mount its disk"
        )
    try:
        return LocalStore(configured.path)
    except StoreError as error:
        raise CannotOpen(f"store: {configured.path}: {error}") from None


def usable_grant(settings: Settings, create: bool) -> str:
    """The configured grant, with which the configured tenant's store can be kept."""
    configured = settings.store
    place, _keyrings = places_of(settings)
    try:
        text = grant_text(configured)
        access = Access.parse(text)
        unfit = access.facts.unfit(places_of(settings), time.time())
        if unfit is not None:
            raise CannotOpen(f"store: {unfit}")
        if create:
            make_bucket(access, place.bucket, configured.partner, agent_of(configured))
        return text
    except (LibraryError, GrantError) as error:
        raise CannotOpen(f"store: {error}") from None


def make_bucket(access: Access, name: str, partner: str | None, user_agent: str) -> None:
    """Make the bucket where it is missing, and have Storj credit an empty one to ``partner``.

    Raises GrantError.
    """
    with access.open(user_agent) as project:
        project.ensure_bucket(name)
        if partner:
            project.attribute_bucket(name)


def grant_text(configured: Store) -> str:
    """The access grant as it is written. Raises CannotOpen."""
    if configured.grant is not None:
        return configured.grant.get_secret_value()
    if configured.grant_file is None:
        raise CannotOpen(
            "store: there is no access grant: set grant_file, or STORJ_BRIDGE_STORE__GRANT in the "
            "environment"
        )
    try:
        return read_secret(configured.grant_file)
    except SecretFileError as error:
        raise CannotOpen(f"store: {error}") from None


def places_of(settings: Settings) -> tuple[Place, Place]:
    """Where on Storj the tenant's vault is, and what the bridge keeps beside it."""
    bucket, tenant = settings.store.bucket, settings.declared.id
    assert bucket is not None, "settings refuse a storj store without a bucket"
    return Place(bucket, vault_prefix(tenant)), Place(bucket, bridge_prefix(tenant))


@dataclass(frozen=True, slots=True)
class OnStorj:
    """What a tenant has on Storj; ``uploads`` are begun and not committed, counted as objects."""

    account: Account
    uploads: int


def account_of(settings: Settings, store: ObjectStore, tenant_id: str) -> OnStorj | None:
    """What a tenant's vault, and what the bridge keeps beside it, take up, where Storj counts it.

    Everything is listed: a request for each 1,000 objects. Raises CannotOpen.
    """
    if settings.store.kind != "storj":
        return None
    prefixes = [vault_prefix(tenant_id), bridge_prefix(tenant_id)]
    try:
        listings = (store.list(prefix, recursive=True) for prefix in prefixes)
        account = Account.of(chain.from_iterable(listings))
        return OnStorj(account, sum(len(store.list_multiparts(prefix)) for prefix in prefixes))
    except StoreError as error:
        raise CannotOpen(f"store: {error}") from None


def agent_of(configured: Store, partner: str = "") -> str:
    """By what name Storj knows this program; the first product is who is credited.

    ``partner``: a tenant's, "" for the configured one.
    """
    ours = f"storj-bridge/{__version__}"
    credited = partner or configured.partner
    return f"{credited} {ours}" if credited else ours


def late_seconds(configured: Store) -> float:
    """For how long what a process asked of the store may still take effect after its death."""
    return _LATE if configured.kind == "storj" else 0.0


class UploadMemory(NamedTuple):
    """How ``limits.upload_bytes`` is shared out.

    ``turns``: bytes for which uploads wait; ``each``: how much of its content a long one holds at
    most, and ``beside`` what it holds besides. ``spare``: bytes for what they send faster with,
    while there is room.
    """

    turns: int
    each: int
    beside: int
    spare: int = 0


def upload_memory(settings: Settings) -> UploadMemory:
    """What uploads may hold with the configured store."""
    total = settings.limits.upload_bytes
    if settings.store.kind != "storj":
        return UploadMemory(total, each=0, beside=2 << 20)
    spare = total // 4
    # Of each, one segment is sent while the next one fills.
    return UploadMemory(total - spare, each=2 * SEGMENT, beside=6 << 20, spare=spare)


def free_bytes(settings: Settings) -> int | None:
    """Bytes the store has room for, where that is known."""
    path = settings.store.path
    if settings.store.kind != "local" or path is None:
        return None
    try:
        status = os.statvfs(path)
    except OSError:
        return None
    return status.f_bavail * status.f_frsize
