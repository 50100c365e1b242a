"""The state database anew, from what the buckets keep of each tenant, and the operator's key."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace

from bridge.crypto.errors import CryptoError
from bridge.crypto.keyring import Kek
from bridge.store.api import ObjectStore, StoreError
from bridge.store.storj.refusals import GrantError
from bridge.tenants.api import AlreadyThere, Status, TenantError
from bridge.tenants.bucket_copy import read_copy
from bridge.tenants.records import Records
from bridge.tenants.sealing import TENANT_GRANT, Sealer
from bridge.tenants.storage import Storage
from bridge.tenants.vault import Keyrings, VaultError

BRIDGE = ".bridge/"
"""What the keys of all that the bridge keeps beside vaults begin with."""


@dataclass(frozen=True, slots=True)
class Found:
    """What became of one tenant. ``problem``: why it is not back, "" when it is.

    ``known``: the database had it, and was left as it was. ``deleted``: there is no copy of what
    was known of it, as after a deletion that kept its files.
    """

    tenant_id: str
    credentials: int = 0
    known: bool = False
    deleted: bool = False
    problem: str = ""


def tenant_ids(store: ObjectStore) -> list[str]:
    """The tenants of whom ``store`` keeps something. Raises StoreError."""
    names = (info.key.removeprefix(BRIDGE) for info in store.list(BRIDGE) if info.is_prefix)
    return sorted(name.rstrip("/") for name in names)


class Recovery:
    """Brings tenants back, one by one; what is wrong with one does not hold up the others."""

    def __init__(self, records: Records, storage: Storage, keks: tuple[Kek, ...]) -> None:
        self._records = records
        self._storage = storage
        self._keks = keks
        self._sealer = Sealer(keks)

    def run(self, store: ObjectStore, wanted: list[str] | None = None) -> Iterator[Found]:
        """All tenants that ``store`` keeps something of, or those ``wanted``.

        Raises StoreError when they cannot be listed, StateError.
        """
        known = {row.tenant.id for row in self._records.tenants()}
        for tenant_id in tenant_ids(store) if wanted is None else wanted:
            if tenant_id in known:
                yield Found(tenant_id, known=True)
                continue
            try:
                yield self._bring_back(store, tenant_id)
            except AlreadyThere:
                yield Found(tenant_id, known=True)
            except (StoreError, CryptoError, VaultError, GrantError, TenantError) as error:
                yield Found(tenant_id, problem=str(error))

    def _bring_back(self, store: ObjectStore, tenant_id: str) -> Found:
        copy = read_copy(store, self._keks, tenant_id)
        if copy is None:
            return Found(tenant_id, deleted=True)
        row, credentials = copy
        grant = self._sealer.open(TENANT_GRANT, tenant_id, row.sealed_grant)
        with closing(self._storage.open(row.tenant, grant)) as own:
            number, sealed = Keyrings(own, self._keks, tenant_id).newest_sealed()
        active = row.tenant.status is Status.ACTIVE
        status = Status.ACTIVE if active else Status.SUSPENDED
        tenant = replace(row.tenant, status=status)
        row = replace(row, tenant=tenant, keyring=number, sealed_keyring=sealed)
        self._records.add_tenant(
            row,
            [
                replace(each, credential=replace(each.credential, tenant=tenant))
                for each in credentials
            ],
        )
        return Found(tenant_id, len(credentials))
