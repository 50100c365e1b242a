"""The making of a tenant: its grant, its vault, its row. Interrupted, it is begun anew."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

from bridge.crypto.keyring import Kek
from bridge.state.api import Lease, State
from bridge.store.api import ObjectStore, StoreError
from bridge.tenants.alone import alone
from bridge.tenants.api import AlreadyThere, NewTenant, Status, Tenant
from bridge.tenants.bucket_copy import write_copy
from bridge.tenants.job_rows import COPY, new_job
from bridge.tenants.purge import purge
from bridge.tenants.records import Records
from bridge.tenants.sealing import TENANT_GRANT, Sealer
from bridge.tenants.storage import Storage
from bridge.tenants.tenant_rows import TenantRow
from bridge.tenants.vault import Keyrings, bridge_prefix, fingerprint, vault_prefix


class Creation:
    """Makes tenants. Raises TenantError, StateError, StoreError, GrantError."""

    def __init__(
        self, records: Records, state: State, storage: Storage, keks: tuple[Kek, ...]
    ) -> None:
        self._records = records
        self._state = state
        self._storage = storage
        self._keks = keks
        self._sealer = Sealer(keks)

    def run(self, wanted: Tenant, *, root_grant: str | None, own_grant: str | None) -> NewTenant:
        """Make it. Raises AlreadyThere, Invalid, NotForTenant."""
        with alone(self._state, wanted.id) as lease:
            self._clear(wanted.id, lease)
            grant = self._storage.tenant_grant(wanted, root=root_grant, own=own_grant)
            return self._make(replace(wanted, status=Status.CREATING), grant)

    def _clear(self, tenant_id: str, lease: Lease) -> None:
        """Remove what a creation that broke off has left. Raises AlreadyThere for a whole tenant.

        Nobody could sign in to it, and its recovery identity was shown to nobody. That its row is
        there says that before it nothing was in the store.
        """
        old = self._records.find_tenant(tenant_id)
        if old is None:
            return
        if old.tenant.status is not Status.CREATING:
            raise AlreadyThere(f"there is a tenant {tenant_id} already")
        grant = self._sealer.open(TENANT_GRANT, tenant_id, old.sealed_grant)
        with closing(self._storage.open(old.tenant, grant)) as store:
            # Who stood still here for long must not remove what another has made meanwhile.
            purge(store, tenant_id, lease.check)
        self._records.drop_tenant(old.tenant)

    def _make(self, tenant: Tenant, grant: str) -> NewTenant:
        tenant_id = tenant.id
        sealed_grant = self._sealer.seal(TENANT_GRANT, tenant_id, grant)
        row = TenantRow(tenant, sealed_grant=sealed_grant)
        with closing(self._storage.open(tenant, grant)) as store:
            keyrings = Keyrings(store, self._keks, tenant_id)
            _require_empty(store, tenant_id)
            # Its grant, whose key exists nowhere else, is kept before anything is written with it.
            self._records.add_tenant(row)
            _, identity = keyrings.open(create=True)
            if identity is None:
                raise AlreadyThere(f"tenant {tenant_id} is being made by another process too")
            keyring, sealed = keyrings.newest()
            self._records.set_keyring(tenant_id, 0, keyring.number, sealed)
            recovery = self._storage.recovery_grant(tenant, grant)
            try:
                ready = replace(row, tenant=replace(tenant, status=Status.ACTIVE))
                write_copy(store, self._keks[0], ready, [])
            except StoreError:
                self._records.jobs.add(new_job(COPY, tenant_id))
            # Last: until then it is begun anew when somebody asks again, for want of the identity.
            tenant = self._records.set_status(tenant_id, Status.ACTIVE, before=(Status.CREATING,))
        return NewTenant(tenant, identity, fingerprint(keyring), recovery)


def _require_empty(store: ObjectStore, tenant_id: str) -> None:
    """Raise AlreadyThere where the store holds anything of a tenant of this name."""
    for prefix in (bridge_prefix(tenant_id), vault_prefix(tenant_id)):
        if any(True for _ in store.list(prefix, recursive=True)):
            raise AlreadyThere(
                f"the store holds a vault of a tenant {tenant_id}, which the state database does "
                "not know: storj-bridge recover brings it back, unless it was deleted and its "
                "files kept; else choose another name"
            )
