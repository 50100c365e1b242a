"""The tenant that configuration declares, kept in the state database like all others.

So an installation that is written down as files needs no command to be complete. Its credential has
all rights and the declared secret, which it follows at each start; on Storj its grant is the
configured one, which is not copied into the database.
"""

from __future__ import annotations

import logging
import time
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace

from bridge.crypto.keyring import Kek
from bridge.store.api import ObjectStore
from bridge.tenants.alone import alone
from bridge.tenants.api import AlreadyThere, NoSuchTenant, Status, Tenant
from bridge.tenants.job_rows import COPY, new_job
from bridge.tenants.recover import Recovery
from bridge.tenants.service import TenantService
from bridge.tenants.sign_in import digest_of, is_secret
from bridge.tenants.storage import Storage
from bridge.tenants.tenant_rows import TenantRow
from bridge.tenants.vault import Keyrings, VaultError, fingerprint

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NewVault:
    """What is shown once, when the vault is made; the fingerprint is no secret."""

    recovery_identity: str = field(repr=False)
    fingerprint: str


class ConfiguredTenant:
    """Keeps one tenant as it is declared."""

    def __init__(
        self, service: TenantService, storage: Storage, keks: tuple[Kek, ...], tenant_id: str
    ) -> None:
        self._service = service
        self._records = service.records
        self._storage = storage
        self._keks = keks
        self._id = tenant_id

    def keep(self, secret: str, *, create: bool) -> NewVault | None:
        """Have it in the database with its credential; ``create``: make its vault where it is none.

        Returns the vault if this very call made it. Raises VaultError where there is none and
        none is to be made; StoreError, StateError, CryptoError.
        """
        try:
            row = self._records.tenant(self._id)
        except NoSuchTenant:
            bucket = self._storage.bucket_for(None)
            row = TenantRow(Tenant(self._id, Status.ACTIVE, bucket, created=time.time()))
        if row.tenant.status in (Status.CREATING, Status.DELETING):
            log.warning("the configured tenant is %s", row.tenant.status.value)
            return None
        made = None
        if create or not row.keyring:
            made = self._made(row, create=create)
        self._keep_credential(secret)
        return made

    def _made(self, row: TenantRow, *, create: bool) -> NewVault | None:
        # Alone: what a deletion has left behind must not be looked for at this moment.
        with (
            alone(self._service.state, self._id),
            closing(self._storage.open(row.tenant, "")) as store,
        ):
            keyrings = Keyrings(store, self._keks, self._id)
            _, identity = keyrings.open(create=create)
            keyring, sealed = keyrings.newest()
            if row.keyring and identity is not None:
                # What the database knows is of a vault that is gone with the whole store.
                self._records.set_keyring(self._id, row.keyring, keyring.number, sealed)
            elif not row.keyring and not self._came_back(store):
                with suppress(AlreadyThere):  # another process did the same just now
                    self._records.add_tenant(
                        replace(row, keyring=keyring.number, sealed_keyring=sealed)
                    )
        return None if identity is None else NewVault(identity, fingerprint(keyring))

    def _came_back(self, store: ObjectStore) -> bool:
        """Whether the bucket knew it, with other credentials: the database was lost."""
        (found,) = Recovery(self._records, self._storage, self._keks).run(store, [self._id])
        if found.problem:
            raise VaultError(f"what the store keeps of tenant {self._id}: {found.problem}")
        return not found.deleted

    def _keep_credential(self, secret: str) -> None:
        found = self._records.credentials.sign_in(self._id, "")
        if found is not None and is_secret(secret, found[1].digest):
            return
        if found is None:
            with suppress(AlreadyThere):  # another process did the same just now
                # Cut from the tenant's own grant, where it was made with one and declared later.
                self._service.add_credential(self._id, "", secret)
        else:
            copy = new_job(COPY, self._id)
            self._records.credentials.set_secret(self._id, "", digest_of(secret), copy)
            self._service.jobs.run(copy)
