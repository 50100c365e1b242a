"""How each kind of job is done: what must happen at the satellite and in the bucket."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress

from bridge.crypto.keyring import Kek, Keyring
from bridge.state.api import State
from bridge.store.api import Forbidden, ObjectStore
from bridge.store.deadline import deadline
from bridge.tenants.alone import alone
from bridge.tenants.api import Status, Tenant
from bridge.tenants.bucket_copy import drop_copy, write_copy
from bridge.tenants.job_rows import COPY, DELETE, PURGE, REVOKE, Job, new_job, parts_of
from bridge.tenants.jobs import Work
from bridge.tenants.purge import purge
from bridge.tenants.records import Records
from bridge.tenants.sealing import CREDENTIAL_GRANT, JOB, TENANT_GRANT, Sealer
from bridge.tenants.storage import Storage
from bridge.tenants.tenant_rows import TenantRow
from bridge.tenants.vault import Keyrings

LATE = 3_600.0
"""Seconds after a purge for which something may still come into the vault: what asked whether its
credential stands just before the deletion, and was written just after. Leases, and what a store may
do after a call was given up, end it within minutes; a process that stood still wakes up later."""


class Works:
    """Does jobs, by ``by_kind``. ``gone`` is told of a tenant that is deleted."""

    def __init__(
        self,
        records: Records,
        state: State,
        storage: Storage,
        keks: tuple[Kek, ...],
        *,
        gone: Callable[[str], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._records = records
        self._state = state
        self._storage = storage
        self._keks = keks
        self._sealer = Sealer(keks)
        self._gone = gone
        self._clock = clock
        self.by_kind: Mapping[str, Work] = {
            REVOKE: self._revoke,
            COPY: self._copy,
            DELETE: self._delete,
            PURGE: self._purge,
        }

    def deletion(self, tenant: Tenant, *, purge: bool) -> Job:
        """What ends the deletion of ``tenant``, and of no other of its name."""
        return new_job(DELETE, tenant.id, self._sealed(tenant.id, str(purge), repr(tenant.created)))

    def _revoke(self, job: Job, _go_on: Callable[[], None]) -> None:
        sealed_ancestor, sealed_grant = parts_of(job)
        ancestor = self._sealer.open(TENANT_GRANT, job.tenant, sealed_ancestor)
        grant = self._sealer.open(CREDENTIAL_GRANT, job.tenant, sealed_grant)
        self._storage.revoke(Tenant(job.tenant), ancestor, grant)

    def _copy(self, job: Job, _go_on: Callable[[], None]) -> None:
        """Write what the database says now; one at a time, or an older one could come last."""
        with alone(self._state, job.tenant) as lease, deadline(lease.remaining / 2):
            row = self._records.find_tenant(job.tenant)
            if row is None or row.tenant.status in (Status.CREATING, Status.DELETING):
                return
            # Not under a key by which whoever has the right one could not open it.
            Keyring.open(row.sealed_keyring, self._keks, job.tenant)
            with closing(self._open(row)) as store:
                write_copy(store, self._keks[0], row, self._records.credentials.of(job.tenant))

    def _delete(self, job: Job, go_on: Callable[[], None]) -> None:
        (sealed,) = parts_of(job)
        wanted, created = self._sealer.open(JOB, job.tenant, sealed).split("\n")
        with alone(self._state, job.tenant) as lease:

            def still() -> None:
                lease.check()
                go_on()

            row = self._records.find_tenant(job.tenant)
            if row is None or row.tenant.status is not Status.DELETING:
                return
            if repr(row.tenant.created) != created:
                return  # another one of its name
            again = None
            with closing(self._open(row)) as store:
                if wanted == str(True):
                    purge(store, job.tenant, still)
                    place = self._sealed(job.tenant, row.tenant.bucket, row.tenant.partner)
                    due = self._clock() + LATE
                    again = new_job(PURGE, job.tenant, row.sealed_grant, place, due=due)
                else:
                    with suppress(Forbidden):  # a grant that was taken back can remove nothing
                        drop_copy(store, job.tenant)
            still()
            self._records.drop_tenant(row.tenant, again)
        self._gone(job.tenant)

    def _purge(self, job: Job, go_on: Callable[[], None]) -> None:
        """Once more, unless there is another tenant of that name, or what one has left."""
        sealed_grant, sealed_place = parts_of(job)
        bucket, partner = self._sealer.open(JOB, job.tenant, sealed_place).split("\n")
        grant = self._sealer.open(TENANT_GRANT, job.tenant, sealed_grant)
        tenant = Tenant(job.tenant, bucket=bucket, partner=partner)
        with (
            alone(self._state, job.tenant) as lease,
            closing(self._storage.open(tenant, grant)) as store,
        ):

            def still() -> None:
                lease.check()
                go_on()

            if self._records.find_tenant(job.tenant) is not None:
                return
            with suppress(Forbidden):  # a grant that was taken back can remove nothing
                if not Keyrings(store, self._keks, job.tenant).any():
                    purge(store, job.tenant, still)

    def _open(self, row: TenantRow) -> ObjectStore:
        grant = self._sealer.open(TENANT_GRANT, row.tenant.id, row.sealed_grant)
        return self._storage.open(row.tenant, grant)

    def _sealed(self, tenant_id: str, *words: str) -> bytes:
        return self._sealer.seal(JOB, tenant_id, "\n".join(words))
