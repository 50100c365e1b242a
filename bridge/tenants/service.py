"""What an operator does with tenants: ``Administration`` on the state database and the store."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from urllib.parse import quote

from bridge.crypto.keyring import Kek
from bridge.files.errors import InvalidPath
from bridge.files.path import Path
from bridge.state.api import LeaseName, State
from bridge.store.api import ObjectStore
from bridge.tenants.api import (
    ALL_RIGHTS,
    AlreadyThere,
    Credential,
    Invalid,
    NewCredential,
    NewTenant,
    NewToken,
    Right,
    Status,
    Tenant,
    Token,
    UsageDay,
    Used,
)
from bridge.tenants.bucket_copy import drop_copy, write_copy
from bridge.tenants.jobs import COPY, DELETE, REVOKE, Jobs, new_job
from bridge.tenants.records import CredentialRow, Job, Records, TenantRow, TokenRow
from bridge.tenants.sealing import CREDENTIAL_GRANT, JOB, TENANT_GRANT, Sealer
from bridge.tenants.sign_in import Tokens, digest_of, new_secret, new_token, token_text
from bridge.tenants.storage import Storage
from bridge.tenants.usage_rows import usage_days_of
from bridge.tenants.vault import Keyrings, bridge_prefix, vault_prefix

_TENANT_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.@-]{0,126}[A-Za-z0-9])?")
_PRODUCT = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARTNER = re.compile(rf"(?=.{{1,200}}$){_PRODUCT}(/{_PRODUCT})?")
"""RFC 9110, section 10.1.5: a product, perhaps with its version."""

_TOKEN_LABEL = 128
_LARGEST_QUOTA = 1 << 62

_COPY_WAIT = 20.0
"""Seconds to wait for another process that writes the same tenant's copy."""

_DELETED_AT_ONCE = 1_000


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
        self.jobs = Jobs(
            self.records, {REVOKE: self._revoke, COPY: self._copy, DELETE: self._delete}, clock
        )
        self._state = state
        self._storage = storage
        self._keks = keks
        self.changed = changed
        self.make_folder = make_folder
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
        if not _TENANT_ID.fullmatch(tenant_id):
            raise Invalid(
                f"{tenant_id!r} is no name for a tenant: up to 63 lower case letters, digits and -"
            )
        _check_quota(quota)
        if partner and not _PARTNER.fullmatch(partner):
            raise Invalid(f"{partner!r} is no partner: a product's name, or name/version")
        tenant = Tenant(
            tenant_id,
            Status.CREATING,
            self._storage.bucket_for(bucket),
            quota,
            partner,
            self._clock(),
        )
        # Its grant, whose key exists nowhere else, is kept before anything is written with it.
        grant = self._storage.tenant_grant(tenant, root=root_grant, own=own_grant)
        self._begin(TenantRow(tenant, sealed_grant=self._sealed(TENANT_GRANT, tenant_id, grant)))
        with closing(self._storage.open(tenant, grant)) as store:
            keyrings = Keyrings(store, self._keks, tenant_id)
            if keyrings.any():
                self.records.drop_tenant(tenant_id)
                raise AlreadyThere(
                    f"the store holds a vault of a tenant {tenant_id}, which the state database "
                    "does not know: storj-bridge recover brings it back; or choose another name"
                )
            _, identity = keyrings.open(create=True)
            if identity is None:
                raise AlreadyThere(f"tenant {tenant_id} is being made by another process too")
            number, sealed = keyrings.newest_sealed()
            self.records.set_keyring(tenant_id, 0, number, sealed)
            tenant = self.records.set_status(tenant_id, Status.ACTIVE, before=(Status.CREATING,))
            self.keep_copy(tenant_id)
        return NewTenant(tenant, identity, self._storage.recovery_grant(tenant, grant))

    def _begin(self, row: TenantRow) -> None:
        try:
            self.records.add_tenant(row)
        except AlreadyThere:
            tenant_id = row.tenant.id
            old = self.records.tenant(tenant_id)
            if old.tenant.status is not Status.CREATING:
                raise
            # Nobody could sign in to it, and its recovery identity was shown to nobody.
            with closing(self._open(old)) as store:
                _purge(store, bridge_prefix(tenant_id))
                _purge(store, vault_prefix(tenant_id))
            self.records.drop_tenant(tenant_id)
            self.records.add_tenant(row)

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
        tenant = self.records.set_status(tenant_id, status, before=usable)
        self.changed()
        self.keep_copy(tenant_id)
        return tenant

    def set_quota(self, tenant_id: str, quota: int | None) -> Tenant:
        """See ``Administration``."""
        _check_quota(quota)
        tenant = self.records.set_quota(tenant_id, quota)
        self.changed()
        self.keep_copy(tenant_id)
        return tenant

    def delete_tenant(self, tenant_id: str, *, purge: bool) -> None:
        """See ``Administration``."""
        row = self.records.tenant(tenant_id)
        grant = self._grant(row)

        def left(credentials: Sequence[CredentialRow]) -> list[Job]:
            revoked = [self._revocation(row, each, grant) for each in credentials]
            last = new_job(DELETE, tenant_id, self._sealed(JOB, tenant_id, str(purge)))
            return [*(job for job in revoked if job is not None), last]

        self.records.begin_deletion(tenant_id, left)
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
        if label and not _LABEL.fullmatch(label):
            raise Invalid(
                f"{label!r} is no label: up to 128 letters, digits, and _.@- between them"
            )
        if not rights:
            raise Invalid("a credential without any right is of no use")
        if expires is not None and expires <= self._clock():
            raise Invalid("the credential would have expired already")
        folder = _folder(root)
        credential = Credential(row.tenant, label, rights, str(folder), self._clock(), expires)
        grant = self._grant(row)
        if grant:
            grant = self._storage.credential_grant(row.tenant, grant, rights, expires)
        sealed = self._sealed(CREDENTIAL_GRANT, tenant_id, grant)
        if not folder.is_root and row.tenant.status is Status.ACTIVE:
            self.make_folder(tenant_id, folder)
        self.records.add_credential(CredentialRow(credential, digest_of(secret), sealed))
        self.keep_copy(tenant_id)
        return credential

    def credentials(self, tenant_id: str) -> Sequence[Credential]:
        """See ``Administration``."""
        return [row.credential for row in self.records.credentials(tenant_id)]

    def revoke_credential(self, tenant_id: str, label: str = "") -> None:
        """See ``Administration``."""
        row = self.records.tenant(tenant_id)
        grant = self._grant(row)
        self.records.revoke_credential(
            tenant_id, label, lambda its: self._revocation(row, its, grant)
        )
        self.changed()
        self.keep_copy(tenant_id)
        self.jobs.run_for(tenant_id)

    def _revocation(self, row: TenantRow, credential: CredentialRow, grant: str) -> Job | None:
        """What is to do at the satellite; both grants travel with it, since the rows go."""
        if not credential.sealed_grant:
            return None
        tenant_id = row.tenant.id
        narrow = self.sealer.open(CREDENTIAL_GRANT, tenant_id, credential.sealed_grant)
        return new_job(REVOKE, tenant_id, self._sealed(JOB, tenant_id, f"{grant}\n{narrow}"))

    # Tokens

    def create_token(
        self, label: str, *, tenant_id: str | None = None, expires: float | None = None
    ) -> NewToken:
        """See ``Administration``."""
        if not 1 <= len(label) <= _TOKEN_LABEL or not label.isprintable():
            raise Invalid(f"a token's label has 1 to {_TOKEN_LABEL} printable characters")
        if expires is not None and expires <= self._clock():
            raise Invalid("the token would have expired already")
        token_id, secret = new_token()
        token = Token(token_id, label, tenant_id, self._clock(), expires)
        self.records.add_token(TokenRow(token, digest_of(secret)))
        return NewToken(token, token_text(token_id, secret))

    def tokens(self) -> Sequence[Token]:
        """See ``Administration``."""
        return [row.token for row in self.records.tokens()]

    def revoke_token(self, token_id: str) -> None:
        """See ``Administration``."""
        self.records.drop_token(token_id)
        self.changed()

    def token(self, text: str) -> Token | None:
        """See ``Administration``."""
        return self._tokens.find(text)

    # Usage

    def usage(
        self, tenant_id: str | None = None, *, first: str | None = None, last: str | None = None
    ) -> Sequence[UsageDay]:
        """See ``Administration``."""
        if tenant_id is not None:
            self.records.tenant(tenant_id)
        return usage_days_of(self._state.rows, tenant_id, first, last)

    # What is done until it succeeds

    def jobs_left(self, tenant_id: str) -> Sequence[Job]:
        """What is still to be done for a tenant, each with a note on why."""
        return self.records.jobs_of(tenant_id)

    def keep_copy(self, tenant_id: str) -> None:
        """Have the bucket's copy follow, now or later."""
        job = new_job(COPY, tenant_id)
        self.records.add_job(job)
        self.jobs.run(job)

    def _copy(self, job: Job, _go_on: Callable[[], None]) -> None:
        """Write what the database says now; one at a time, or an older one could come last."""
        name = LeaseName(b"", b"bucket copy")
        with self._state.tree(job.tenant).acquire([name], [], wait=_COPY_WAIT) as lease:
            lease.unchanged()
            rows = {row.tenant.id: row for row in self.records.tenants()}
            row = rows.get(job.tenant)
            if row is None or row.tenant.status in (Status.CREATING, Status.DELETING):
                return
            with closing(self._open(row)) as store:
                write_copy(store, self._keks[0], row, self.records.credentials(job.tenant))

    def _revoke(self, job: Job, _go_on: Callable[[], None]) -> None:
        ancestor, grant = self.sealer.open(JOB, job.tenant, job.sealed).split("\n")
        self._storage.revoke(Tenant(job.tenant), ancestor, grant)

    def _delete(self, job: Job, go_on: Callable[[], None]) -> None:
        rows = {row.tenant.id: row for row in self.records.tenants()}
        row = rows.get(job.tenant)
        if row is None or row.tenant.status is not Status.DELETING:
            return
        purge = self.sealer.open(JOB, job.tenant, job.sealed) == str(True)
        with closing(self._open(row)) as store:
            if purge:
                _purge(store, vault_prefix(job.tenant), go_on)
                _purge(store, bridge_prefix(job.tenant), go_on)
            else:
                drop_copy(store, job.tenant)
        self.records.drop_tenant(job.tenant)

    def _open(self, row: TenantRow) -> ObjectStore:
        return self._storage.open(row.tenant, self._grant(row))

    def _grant(self, row: TenantRow) -> str:
        return self.sealer.open(TENANT_GRANT, row.tenant.id, row.sealed_grant)

    def _sealed(self, purpose: str, tenant_id: str, plain: str) -> bytes:
        return self.sealer.seal(purpose, tenant_id, plain)


def _purge(store: ObjectStore, prefix: str, go_on: Callable[[], None] = lambda: None) -> None:
    """Remove all objects and uploads under ``prefix``."""
    batch: list[str] = []
    for info in store.list(prefix, recursive=True):
        batch.append(info.key)
        if len(batch) == _DELETED_AT_ONCE:
            store.delete_many(batch)
            batch.clear()
            go_on()
    if batch:
        store.delete_many(batch)
    for upload in store.list_multiparts(prefix):
        store.abort_multipart(upload.key, upload.upload_id)


def _check_quota(quota: int | None) -> None:
    if quota is not None and not 0 <= quota <= _LARGEST_QUOTA:
        raise Invalid("a quota is a number of bytes, 0 or more")


def _folder(text: str) -> Path:
    """A root folder's path. Raises Invalid."""
    if not text.startswith("/"):
        raise Invalid(f"the folder {text!r} is not a path from the root: it begins with /")
    try:
        return Path.from_target(quote(text, errors="surrogatepass"))
    except InvalidPath as error:
        raise Invalid(f"the folder {text!r}: {error}") from None
