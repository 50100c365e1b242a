"""What an operator does with tenants: ``Administration`` on the state database and the store."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from bridge.crypto.keyring import Kek
from bridge.files.path import Path
from bridge.state.api import State
from bridge.store.deadline import deadline
from bridge.tenants.api import (
    ALL_RIGHTS,
    Credential,
    NewCredential,
    NewGrant,
    NewTenant,
    NewToken,
    NoSuchTenant,
    NotForTenant,
    Right,
    Status,
    Tenant,
    Token,
    UsageDay,
    Used,
)
from bridge.tenants.creation import Creation
from bridge.tenants.credential_rows import CredentialRow
from bridge.tenants.job_rows import CLAIMED, COPY, PURGE, REVOKE, Job, new_job
from bridge.tenants.jobs import Jobs
from bridge.tenants.records import Records
from bridge.tenants.regranting import Regranting
from bridge.tenants.sealing import CREDENTIAL_GRANT, TENANT_GRANT, Sealer
from bridge.tenants.sign_in import Tokens, digest_of, new_secret, new_token, token_text
from bridge.tenants.storage import Storage
from bridge.tenants.tenant_rows import no_such_tenant
from bridge.tenants.token_rows import TokenRow
from bridge.tenants.usage import Change
from bridge.tenants.usage_rows import Span, TenantUsage, has_usage, usage_days_of
from bridge.tenants.wanted import (
    check_credential,
    check_end,
    check_quota,
    check_tenant,
    check_token_label,
    folder_of,
)
from bridge.tenants.work import Works

FOLDER_SECONDS = 30.0
"""For making a credential's root folder: or who was shut out might get it hours later."""


class TenantService:
    """Implements ``Administration``.

    ``changed`` is called when something was taken away: nobody may go on with what they remember.
    ``make_folder``: makes a folder, and those above it, in a tenant's tree where they are missing.
    """

    def __init__(
        self,
        state: State,
        storage: Storage,
        keks: tuple[Kek, ...],
        *,
        changed: Callable[[], None] = lambda: None,
        make_folder: Callable[[str, Path], None] = lambda _tenant_id, _path: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.records = Records(state.rows, clock)
        self.sealer = Sealer(keks)
        self._works = Works(self.records, state, storage, keks, gone=self._is_gone, clock=clock)
        self.jobs = Jobs(self.records.jobs, self._works.by_kind, clock)
        self._creation = Creation(self.records, state, storage, keks)
        self._regranting = Regranting(self.records, state, storage, keks, clock)
        self.state = state
        self._storage = storage
        self.changed = changed
        self.make_folder = make_folder
        self.gone: Callable[[str], None] = lambda _tenant_id: None
        """Told of a tenant that is deleted."""
        self.declared: str | None = None
        """The tenant that configuration declares, and would bring back."""
        self._clock = clock
        self._tokens = Tokens(self.records, clock)

    # Tenants

    def create_tenant(
        self,
        tenant_id: str,
        *,
        bucket: str | None = None,
        quota: int | None = None,
        partner: str = "",
        root_grant: str | None = None,
        own_grant: str | None = None,
    ) -> NewTenant:
        """See ``Administration``. Interrupted and called again, it begins anew."""
        check_tenant(tenant_id, quota=quota, partner=partner)
        bucket = self._storage.bucket_for(bucket)
        wanted = Tenant(tenant_id, Status.CREATING, bucket, quota, partner, self._clock())
        return self._creation.run(wanted, root_grant=root_grant, own_grant=own_grant)

    def replace_grant(
        self, tenant_id: str, *, root_grant: str | None = None, own_grant: str | None = None
    ) -> NewGrant:
        """See ``Administration``."""
        new = self._regranting.run(tenant_id, root_grant=root_grant, own_grant=own_grant)
        self.changed()
        for job in self.records.jobs.of(tenant_id):
            # A satellite that does not answer is not asked for each; the service goes on.
            if job.kind in (COPY, REVOKE) and job.note != CLAIMED and not self.jobs.run(job):
                break
        return new

    def tenants(self) -> Sequence[Tenant]:
        """See ``Administration``."""
        return [row.tenant for row in self.records.tenants()]

    def tenant(self, tenant_id: str) -> Tenant:
        """See ``Administration``."""
        return self.records.tenant(tenant_id).tenant

    def used(self, tenant_id: str) -> Used:
        """See ``Administration``."""
        return self.records.tenant(tenant_id).used

    def suspend(self, tenant_id: str) -> Tenant:
        """See ``Administration``."""
        return self._set_status(tenant_id, Status.SUSPENDED)

    def resume(self, tenant_id: str) -> Tenant:
        """See ``Administration``."""
        return self._set_status(tenant_id, Status.ACTIVE)

    def _set_status(self, tenant_id: str, status: Status) -> Tenant:
        usable = (Status.ACTIVE, Status.SUSPENDED)
        copy = new_job(COPY, tenant_id)
        tenant = self.records.set_status(tenant_id, status, before=usable, copy=copy)
        self.changed()
        self.jobs.run(copy)
        return tenant

    def set_quota(self, tenant_id: str, quota: int | None) -> Tenant:
        """See ``Administration``."""
        check_quota(quota)
        copy = new_job(COPY, tenant_id)
        tenant = self.records.set_quota(tenant_id, quota, copy)
        self.changed()
        self.jobs.run(copy)
        return tenant

    def delete_tenant(self, tenant_id: str, *, purge: bool) -> None:
        """See ``Administration``. Without ``purge``, what is to be purged already still is."""
        if tenant_id == self.declared:
            raise NotForTenant(
                f"tenant {tenant_id} is declared in the configuration: take [tenant] out first"
            )
        self.records.begin_deletion(
            tenant_id, lambda tenant: self._works.deletion(tenant, purge=purge), replaces=purge
        )
        self.changed()
        self.jobs.run_for(tenant_id)

    # Credentials

    def create_credential(
        self,
        tenant_id: str,
        label: str = "",
        *,
        rights: Right = ALL_RIGHTS,
        root: str = "/",
        expires: float | None = None,
    ) -> NewCredential:
        """See ``Administration``."""
        secret = new_secret()
        credential = self.add_credential(tenant_id, label, secret, rights, root, expires)
        return NewCredential(credential, secret)

    def add_credential(
        self,
        tenant_id: str,
        label: str,
        secret: str,
        rights: Right = ALL_RIGHTS,
        root: str = "/",
        expires: float | None = None,
    ) -> Credential:
        """As ``create_credential``, with a secret that the bridge has made before."""
        row = self.records.tenant(tenant_id)
        check_credential(label, rights)
        check_end(expires, self._clock())
        folder = folder_of(root)
        credential = Credential(row.tenant, label, rights, str(folder), self._clock(), expires)
        grant = self.sealer.open(TENANT_GRANT, tenant_id, row.sealed_grant)
        if grant:
            grant = self._storage.credential_grant(row.tenant, grant, rights, expires)
        sealed = self.sealer.seal(CREDENTIAL_GRANT, tenant_id, grant)
        if not folder.is_root and row.tenant.status is Status.ACTIVE:
            with deadline(FOLDER_SECONDS):
                self.make_folder(tenant_id, folder)
        added = CredentialRow(credential, digest_of(secret), sealed)
        copy = new_job(COPY, tenant_id)
        self.records.credentials.add(added, row.sealed_grant, copy)
        self.jobs.run(copy)
        return credential

    def credentials(self, tenant_id: str) -> Sequence[Credential]:
        """See ``Administration``."""
        return [row.credential for row in self.records.credentials.of(tenant_id)]

    def revoke_credential(self, tenant_id: str, label: str = "") -> None:
        """See ``Administration``."""
        if tenant_id == self.declared and not label:
            raise NotForTenant(
                f"credential {tenant_id} is declared in the configuration: change its secret there"
            )
        copy = new_job(COPY, tenant_id)
        job = self.records.credentials.revoke(tenant_id, label, copy)
        self.changed()
        if job is not None:
            self.jobs.run(job)
        self.jobs.run(copy)

    # Tokens

    def create_token(
        self, label: str, *, tenant_id: str | None = None, expires: float | None = None
    ) -> NewToken:
        """See ``Administration``."""
        check_token_label(label)
        check_end(expires, self._clock())
        token_id, secret = new_token()
        token = Token(token_id, label, tenant_id, self._clock(), expires)
        self.records.tokens.add(TokenRow(token, digest_of(secret)))
        return NewToken(token, token_text(token_id, secret))

    def tokens(self) -> Sequence[Token]:
        """See ``Administration``."""
        return [row.token for row in self.records.tokens.all()]

    def revoke_token(self, token_id: str) -> None:
        """See ``Administration``."""
        self.records.tokens.drop(token_id)
        self.changed()

    def token(self, text: str) -> Token | None:
        """See ``Administration``."""
        return self._tokens.find(text)

    # Usage

    def usage(
        self, tenant_id: str | None = None, *, first: str | None = None, last: str | None = None
    ) -> Sequence[UsageDay]:
        """See ``Administration``. Of a tenant that is gone too; raises NoSuchTenant if nothing is.

        Raises NoDays where ``first`` comes after ``last``.
        """
        span = Span.of(first, last)
        self.meter()
        if tenant_id is None:
            return usage_days_of(self.state.rows, None, span)
        row = self.records.find_tenant(tenant_id)
        if row is not None:
            # Not what another of its name did before it, but for its first day.
            span = span.since(row.tenant.created)
        elif not has_usage(self.state.rows, tenant_id):
            raise no_such_tenant(tenant_id)
        return usage_days_of(self.state.rows, tenant_id, span)

    def meter(self) -> None:
        """Bring every tenant's byte-hours up to now, also where nothing moves."""
        for row in self.records.tenants():
            with suppress(NoSuchTenant):  # deleted just now
                TenantUsage(self.state.rows, row.tenant).add(Change(), {})

    # What is done until it succeeds

    def jobs_left(self, tenant_id: str) -> Sequence[Job]:
        """What should be done for a tenant and is not, each with a note on why.

        Not what waits for its time: the second look at a vault that was purged.
        """
        left = self.records.jobs.of(tenant_id)
        return [job for job in left if job.kind != PURGE or job.tries]

    def is_copied(self, tenant_id: str) -> bool:
        """Whether the bucket's copy is what the database says."""
        return all(job.kind != COPY for job in self.jobs_left(tenant_id))

    def keep_copy(self, tenant_id: str) -> None:
        """Have the bucket's copy follow, now or later."""
        job = new_job(COPY, tenant_id)
        self.records.jobs.replace_waiting(job)
        self.jobs.run(job)

    def _is_gone(self, tenant_id: str) -> None:
        self.gone(tenant_id)
