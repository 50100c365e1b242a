"""Tenants in use: their vaults, open, and what each credential sees of them.

A tenant is opened when somebody signs in to it, and dropped when nobody has for a while. Requests
that still run keep what they work with; it is closed when the last of them lets go. So two may be
open for a moment, as in two processes: the state database keeps these from harming each other.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import wraps
from typing import ParamSpec, TypeVar

from bridge.crypto.errors import CryptoError
from bridge.crypto.keyring import Kek
from bridge.crypto.vault import PATIENCE, VaultKeys
from bridge.files.api import FileTree
from bridge.files.errors import AlreadyExists, StorageUnavailable
from bridge.files.path import Path
from bridge.files.translate import translate
from bridge.files.vault import Vault
from bridge.files.vault_tree import VaultTree
from bridge.state.api import Locks, State, StateError
from bridge.store.api import Forbidden, ObjectStore, StoreError, Unavailable
from bridge.store.storj.refusals import GrantError
from bridge.tenants.api import (
    Credential,
    NoSuchCredential,
    NoSuchTenant,
    Status,
    Tenant,
    TenantError,
)
from bridge.tenants.confined import ConfinedLocks, ConfinedTree, folder_path
from bridge.tenants.metered import MeteredTree
from bridge.tenants.records import Records
from bridge.tenants.sealing import CREDENTIAL_GRANT, TENANT_GRANT, Sealer
from bridge.tenants.standing import Standing, StandingLocks, StandingTree
from bridge.tenants.storage import Storage
from bridge.tenants.tenant_rows import TenantRow, no_such_tenant
from bridge.tenants.usage import Ledger as UsageLedger
from bridge.tenants.usage_rows import TenantUsage
from bridge.tenants.vault import Keyrings, VaultError

log = logging.getLogger(__name__)

_P = ParamSpec("_P")
_R = TypeVar("_R")

IDLE = 900.0
"""Seconds after the last sign-in for which a tenant stays open."""

ACTIVE = 60.0
"""Seconds after the last sign-in for which a tenant has its share of the names remembered."""

PATIENCE_TO_OPEN = 1.0
"""Seconds for which a request waits while another opens its tenant."""

MOST_VIEWS = 1_000
"""Stores of credentials that an open tenant keeps."""

FEWEST_NAMES = 1_000
"""Names remembered of a tenant that is open, whatever the others take."""


def _for_doors(method: Callable[_P, _R]) -> Callable[_P, _R]:
    """Raise FileError for what doors do not know; why a tenant cannot be opened is in the log."""

    @wraps(method)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return method(*args, **kwargs)
        except Forbidden as error:
            raise translate(error) from error
        except (StoreError, VaultError, CryptoError, GrantError, TenantError) as error:
            log.error("a tenant cannot be opened: %s", error)  # noqa: TRY400 - the words say it
            raise StorageUnavailable("this tenant's files cannot be reached now") from error

    return call


class RecordedKeyring:
    """Implements ``bridge.tenants.vault.Ledger`` for one tenant."""

    def __init__(self, records: Records, tenant_id: str) -> None:
        self._records = records
        self._tenant_id = tenant_id

    def read(self) -> tuple[int, bytes]:
        """See ``Ledger``."""
        row = self._records.tenant(self._tenant_id)
        return row.keyring, row.sealed_keyring

    def advance(self, old: int, new: int, sealed: bytes) -> bool:
        """See ``Ledger``."""
        return self._records.set_keyring(self._tenant_id, old, new, sealed)


@dataclass
class OpenTenant:
    """One tenant, open. ``used``: when somebody signed in last, by a monotonic clock.

    ``sealed_grant``: what it was opened by.
    """

    tenant: Tenant
    sealed_grant: bytes
    store: ObjectStore
    keyrings: Keyrings
    keys: VaultKeys
    tree: VaultTree
    usage: UsageLedger
    used: float
    locks: int = 0
    """WebDAV locks held, when that was asked last."""
    views: dict[str, tuple[bytes, ObjectStore]] = field(default_factory=dict)
    """Stores of credentials by their labels, each with the sealed grant it was opened by. Those
    that were asked for last stand at the end."""
    opening: threading.Lock = field(default_factory=threading.Lock)


@dataclass
class _Left:
    """The figures of a tenant that was dropped, which requests under way still add to.

    ``used``: when they last did, or when it was dropped, by a monotonic clock.
    """

    created: float
    usage: UsageLedger
    used: float


class OpenTenants:
    """Opens tenants, once each, and keeps them. Thread-safe.

    ``clock`` is monotonic, ``wall`` gives Unix seconds.
    """

    def __init__(
        self,
        records: Records,
        storage: Storage,
        state: State,
        keks: tuple[Kek, ...],
        *,
        cache_names: int,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._records = records
        self._storage = storage
        self._state = state
        self._keks = keks
        self._sealer = Sealer(keks)
        self._cache_names = cache_names
        self._clock = clock
        self._wall = wall
        self._mutex = threading.Lock()
        self._opening: dict[str, threading.Lock] = {}
        self._open: dict[str, OpenTenant] = {}
        self._left: dict[str, _Left] = {}
        self._hits = self._misses = 0

    def __iter__(self) -> Iterator[OpenTenant]:
        """Those that are open now."""
        with self._mutex:
            return iter(list(self._open.values()))

    def tenant(
        self, tenant_id: str, created: float | None = None, sealed_grant: bytes | None = None
    ) -> OpenTenant:
        """The tenant, open; ``created``: of what it must be, of those that had its name.

        ``sealed_grant``: as the database has just told it, None where that was not asked.

        One thread opens it; the others wait for that a moment only, since a store that does not
        answer may take long, and threads are for all tenants. Raises NoSuchTenant, VaultError,
        StoreError, StateError, CryptoError.
        """
        with self._mutex:
            opening = self._opening.setdefault(tenant_id, threading.Lock())
            found = self._open.get(tenant_id)
        if found is None or not self._is_of(found, created, sealed_grant):
            if not opening.acquire(timeout=PATIENCE_TO_OPEN):
                raise Unavailable("the tenant's store is slow to answer; try again")
            try:
                found = self._found_or_opened(tenant_id, created)
            finally:
                opening.release()
        found.used = self._clock()
        return found

    def _found_or_opened(self, tenant_id: str, created: float | None) -> OpenTenant:
        row = self._records.tenant(tenant_id)
        if created is not None and row.tenant.created != created:
            raise no_such_tenant(tenant_id)  # the one of this name is another
        with self._mutex:
            found = self._open.get(tenant_id)
        if found is not None and self._is_of(found, row.tenant.created, row.sealed_grant):
            return found
        self.drop(tenant_id)
        opened = self._opened(row)
        with self._mutex:
            self._open[tenant_id] = opened
            self._left.pop(tenant_id, None)
        self.share_names()
        return opened

    def _is_of(self, opened: OpenTenant, created: float | None, sealed_grant: bytes | None) -> bool:
        """Whether it is this tenant, by the grant that it has now. Raises CryptoError."""
        if created is not None and opened.tenant.created != created:
            return False
        was = opened.sealed_grant
        if sealed_grant is None or sealed_grant == was:
            return True
        # Another one, or the same sealed under another key.
        tenant_id = opened.tenant.id
        if self._sealer.open(TENANT_GRANT, tenant_id, was) != self._sealer.open(
            TENANT_GRANT, tenant_id, sealed_grant
        ):
            return False
        opened.sealed_grant = sealed_grant
        return True

    @_for_doors
    def tree(self, credential: Credential) -> FileTree:
        """What a credential that has just signed in sees. Raises FileError, StateError."""
        looked = self._clock()  # not when all is open, which may take long
        found = self._records.credentials.sign_in(credential.tenant.id, credential.label)
        if found is None:
            raise NoSuchCredential(f"credential {credential.name} was revoked")
        tenant, sealed = found[0].tenant, found[1].sealed_grant
        if tenant.status is not Status.ACTIVE or found[1].credential.created != credential.created:
            raise NoSuchCredential(f"credential {credential.name} was revoked")
        opened = self.tenant(tenant.id, tenant.created, found[0].sealed_grant)
        opened.usage.quota = tenant.quota  # it may have been changed since
        tree: FileTree = opened.tree
        if sealed:
            tree = opened.tree.acting_by(self._store_of(opened, credential, sealed))
        standing = self._standing(found[1].credential, looked)
        # Doors remember it from now on, however long this took.
        standing.require_now_and_then()
        metered = MeteredTree(StandingTree(tree, standing), opened.usage)
        return ConfinedTree(metered, credential.rights, folder_path(credential.root))

    def locks(self, credential: Credential) -> Locks:
        """The locks that a credential sees and sets."""
        standing = self._standing(credential)
        locks = StandingLocks(self._state.locks(credential.tenant.id), standing)
        return ConfinedLocks(locks, credential.rights, folder_path(credential.root))

    def _standing(self, credential: Credential, looked: float = -math.inf) -> Standing:
        return Standing(
            self._records.credentials,
            credential,
            looked=looked,
            clock=self._wall,
            monotonic=self._clock,
        )

    @_for_doors
    def usage(self, credential: Credential) -> UsageLedger:
        """Its tenant's. Raises as ``tree``."""
        return self.tenant(credential.tenant.id, credential.tenant.created).usage

    def _store_of(self, opened: OpenTenant, credential: Credential, sealed: bytes) -> ObjectStore:
        with opened.opening:
            known = opened.views.pop(credential.label, None)
            if known is None or known[0] != sealed:
                grant = self._sealer.open(CREDENTIAL_GRANT, opened.tenant.id, sealed)
                known = sealed, self._storage.open(opened.tenant, grant)
            opened.views[credential.label] = known
            if len(opened.views) > MOST_VIEWS:
                del opened.views[next(iter(opened.views))]  # requests that run still keep it
            return known[1]

    def _opened(self, row: TenantRow) -> OpenTenant:
        tenant = row.tenant
        grant = self._sealer.open(TENANT_GRANT, tenant.id, row.sealed_grant)
        store = self._storage.open(tenant, grant)
        try:
            keyrings = Keyrings(
                store, self._keks, tenant.id, RecordedKeyring(self._records, tenant.id)
            )
            keys, _ = keyrings.open(patience=PATIENCE)
            vault = Vault(
                store,
                keys,
                self._state.tree(tenant.id),
                prefix=keyrings.prefix,
                cache_names=self._cache_names,
            )
            usage = self._usage_of(tenant)
        except BaseException:
            store.close()
            raise
        return OpenTenant(
            tenant,
            row.sealed_grant,
            store,
            keyrings,
            keys,
            VaultTree(vault),
            usage,
            self._clock(),
        )

    def _usage_of(self, tenant: Tenant) -> UsageLedger:
        """The figures that requests still add to which began before it was dropped, or new ones."""
        with self._mutex:
            left = self._left.get(tenant.id)
        if left is None or left.created != tenant.created:
            return UsageLedger(TenantUsage(self._state.rows, tenant), quota=tenant.quota)
        left.usage.flush()  # learns what others did meanwhile
        left.usage.quota = tenant.quota
        return left.usage

    def requested(self, username: str) -> None:
        """Note that whoever signed in as ``username`` has made a request."""
        with self._mutex:
            opened = self._open.get(username.partition(".")[0])
        if opened is not None:
            opened.usage.moved(requests=1)

    def make_folder(self, tenant_id: str, path: Path) -> None:
        """Make a folder, and those above it, where they are missing.

        Raises FileError besides what ``tenant`` raises.
        """
        row = self._records.tenant(tenant_id)
        tree = self.tenant(tenant_id, row.tenant.created, row.sealed_grant).tree
        for depth in range(len(path.names)):
            with suppress(AlreadyExists):
                tree.mkdir(Path(path.names[: depth + 1]))

    def confirm(self) -> None:
        """Tell each open tenant's keys which keyring is the newest. Raises StateError.

        One that was deleted, or whose grant was replaced, is dropped. What fails for one is logged;
        its keys then ask by themselves. Also tells the database what is still under way for those
        that were dropped.
        """
        asked = self._clock()
        newest = self._records.confirmed()
        for opened in self:
            number, created, sealed_grant = newest.get(opened.tenant.id, (0, 0.0, b""))
            try:
                # There may be another of its name.
                if not self._is_of(opened, created, sealed_grant):
                    self.drop(opened.tenant.id)
                elif not opened.keys.confirm(number, asked):
                    keyring, _ = opened.keyrings.newest()
                    opened.keys.take(keyring)
                    opened.keys.confirm(keyring.number, asked)
            except (StoreError, VaultError, CryptoError) as error:
                log.warning("the newest keyring of %s: %s", opened.tenant.id, error)
        self._tell_left()

    def _tell_left(self) -> None:
        """Tell what requests add that began before a tenant was dropped. Raises StateError."""
        now = self._clock()
        with self._mutex:
            all_left = list(self._left.items())
        for tenant_id, left in all_left:
            over = False
            if left.usage.at_rest:
                over = left.used < now - IDLE
            else:
                left.used = now
                try:
                    left.usage.flush()
                except NoSuchTenant:
                    over = True
            if over:
                with self._mutex:
                    if self._left.get(tenant_id) is left:
                        del self._left[tenant_id]

    def drop(self, tenant_id: str) -> None:
        """Keep it open no longer than requests use it."""
        with self._mutex:
            dropped = self._open.pop(tenant_id, None)
            if dropped is None:
                return
            self._left[tenant_id] = _Left(dropped.tenant.created, dropped.usage, self._clock())
            self._hits += dropped.tree.vault.cache.hits
            self._misses += dropped.tree.vault.cache.misses
        with suppress(StateError, NoSuchTenant):  # told later, if it is still there
            dropped.usage.flush()

    def recent(self, most: int) -> list[OpenTenant]:
        """Those that were opened or signed in to last, the last one first."""
        return sorted(self, key=lambda opened: opened.used, reverse=True)[:most]

    @property
    def hits(self) -> int:
        """Look-ups that all caches together have answered."""
        return self._hits + sum(opened.tree.vault.cache.hits for opened in self)

    @property
    def misses(self) -> int:
        """Look-ups for which the store was asked."""
        return self._misses + sum(opened.tree.vault.cache.misses for opened in self)

    def close(self) -> None:
        """Tell the database what each has used, and close them all.

        Where it does not answer, the next count corrects what it was not told.
        """
        with self._mutex:
            all_open, all_left = list(self._open.values()), list(self._left.values())
            self._open.clear()
            self._left.clear()
        usages = [opened.usage for opened in all_open] + [left.usage for left in all_left]
        with suppress(StateError):
            for usage in usages:
                with suppress(NoSuchTenant):
                    usage.flush()
        for opened in all_open:
            for _, store in opened.views.values():
                store.close()
            opened.store.close()

    def share_names(self) -> None:
        """Share the names that may be remembered among those who are active."""
        recently = self._clock() - ACTIVE
        found = list(self)
        active = sum(opened.used >= recently for opened in found)
        share = max(FEWEST_NAMES, self._cache_names // max(1, active))
        for opened in found:
            used = opened.used >= recently
            opened.tree.vault.cache.resize(share if used else FEWEST_NAMES)

    def drop_idle(self) -> None:
        """Drop those nobody has signed in to for a while, and for whom nothing is under way."""
        long_ago = self._clock() - IDLE
        for opened in self:
            resting = opened.usage.at_rest and not opened.tree.reaper.backlog
            if opened.used < long_ago and resting:
                self.drop(opened.tenant.id)
