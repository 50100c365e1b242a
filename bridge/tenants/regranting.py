"""Another access grant for a tenant, in the place of the one it has, while its files are used."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing

from bridge.crypto.keyring import Kek, Keyring
from bridge.state.api import State
from bridge.store.api import Forbidden
from bridge.tenants.alone import alone
from bridge.tenants.api import Invalid, NewGrant, NotForTenant, Status
from bridge.tenants.credential_rows import CredentialRow
from bridge.tenants.job_rows import COPY, REVOKE, Job, new_job
from bridge.tenants.opened import RecordedKeyring
from bridge.tenants.records import Records
from bridge.tenants.sealing import CREDENTIAL_GRANT, TENANT_GRANT, Sealer
from bridge.tenants.storage import Storage
from bridge.tenants.tenant_rows import TenantRow
from bridge.tenants.vault import Keyrings, VaultError, fingerprint

ATTEMPTS = 10
"""How often it is begun anew where credentials come and go, or are sealed anew, meanwhile."""


class Regranting:
    """Replaces grants. Raises TenantError, StateError, StoreError, GrantError, CryptoError."""

    def __init__(
        self,
        records: Records,
        state: State,
        storage: Storage,
        keks: tuple[Kek, ...],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._records = records
        self._state = state
        self._storage = storage
        self._keks = keks
        self._sealer = Sealer(keks)
        self._clock = clock

    def run(self, tenant_id: str, *, root_grant: str | None, own_grant: str | None) -> NewGrant:
        """Replace it. Interrupted at any point and called again, it does all of it.

        The former grant is revoked before the new one is kept: whoever gives the root grant may do
        so because the former one is in wrong hands, and once it is replaced nobody has it to revoke
        it by. What is left to do is kept as jobs. Raises NoSuchTenant, Invalid, NotForTenant.
        """
        with alone(self._state, tenant_id) as lease:
            row = self._records.tenant(tenant_id)
            if row.tenant.status is Status.CREATING:
                raise NotForTenant(f"tenant {tenant_id} is being made: create it again instead")
            former = self._sealer.open(TENANT_GRANT, tenant_id, row.sealed_grant)
            grant = self._storage.following_grant(
                row.tenant, former, root=root_grant, own=own_grant
            )
            self._require_its_vault(row, grant)
            over: bool | None = None
            for _ in range(ATTEMPTS):
                row, its = self._rows(row)
                cut = {each.credential.label: self._cut(each, grant) for each in its}
                if over is None:
                    given = root_grant if own_grant is None else own_grant
                    over = self._storage.retire(row.tenant, given or "", former)
                jobs = [new_job(COPY, tenant_id)]
                if not over:
                    jobs += self._revocations(row, its)
                lease.check()
                if self._records.replace_grant(row, self._sealed(tenant_id, grant), cut, jobs):
                    break
            else:
                raise NotForTenant(f"credentials of tenant {tenant_id} change now: run it again")
            recovery = self._storage.recovery_grant(row.tenant, grant)
            works = not over and not self._storage.are_one(grant, former)
            return NewGrant(row.tenant, recovery, former_works=works)

    def _require_its_vault(self, row: TenantRow, grant: str) -> None:
        """Raise Invalid for a grant that does not open this very vault.

        One with another encryption passphrase sees nothing at all, and no error.
        """
        tenant_id = row.tenant.id
        known = fingerprint(self._opened(row)) if row.sealed_keyring else None
        ledger = RecordedKeyring(self._records, tenant_id)
        with closing(self._storage.open(row.tenant, grant)) as store:
            keyrings = Keyrings(store, self._keks, tenant_id, ledger)
            try:
                if not keyrings.any():
                    raise Invalid(
                        f"with this grant nothing of tenant {tenant_id} can be seen: it has "
                        "another encryption passphrase, or is of another project"
                    )
                found = keyrings.fingerprint()
                # What is left of a vault that is being removed cannot be told.
                whole = row.tenant.status is not Status.DELETING
                if whole and not any(True for _ in store.list(f"{keyrings.prefix}recovery/")):
                    raise Invalid(
                        f"this grant has another encryption key for the files of tenant "
                        f"{tenant_id}, and sees none: a tenant whose grant was cut from the root "
                        "grant takes another one cut from it"
                    )
            except Forbidden as error:
                raise Invalid(
                    f"with this grant the files of tenant {tenant_id} cannot be reached: was it "
                    f"revoked? ({error})"
                ) from None
            except VaultError as error:
                raise Invalid(
                    f"this grant opens another vault than the tenant's: {error}"
                ) from None
        if known is not None and found != known:
            raise Invalid(f"this grant opens another vault than that of tenant {tenant_id}")

    def _opened(self, row: TenantRow) -> Keyring:
        """The keyring that the database knows. Raises UnknownKey where its KEK is not at hand."""
        return Keyring.open(row.sealed_keyring, self._keks, row.tenant.id)

    def _rows(self, before: TenantRow) -> tuple[TenantRow, list[CredentialRow]]:
        row = self._records.tenant(before.tenant.id)
        if row.tenant.created != before.tenant.created:
            raise NotForTenant(f"tenant {before.tenant.id} was deleted, and made anew, meanwhile")
        return row, self._records.credentials.of(row.tenant.id)

    def _cut(self, row: CredentialRow, grant: str) -> tuple[bytes, bytes]:
        """A credential's grant as it is and as it comes, both sealed."""
        its = row.credential
        cut = self._storage.credential_grant(its.tenant, grant, its.rights, its.expires)
        return row.sealed_grant, self._sealer.seal(CREDENTIAL_GRANT, its.tenant.id, cut)

    def _revocations(self, row: TenantRow, its: list[CredentialRow]) -> list[Job]:
        """Of credentials' former grants; one that is over needs none."""
        now = self._clock()
        return [
            new_job(REVOKE, row.tenant.id, row.sealed_grant, each.sealed_grant)
            for each in its
            if each.credential.expires is None or each.credential.expires > now
        ]

    def _sealed(self, tenant_id: str, grant: str) -> bytes:
        return self._sealer.seal(TENANT_GRANT, tenant_id, grant)
