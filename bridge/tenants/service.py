"""What an operator does with tenants: ``Administration`` on the state database and the store."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import quote

from bridge.crypto.keyring import Kek
from bridge.files.errors import InvalidPath
from bridge.files.path import Path
from bridge.state.api import Lease, LeaseBusy, LeaseName, State
from bridge.store.api import Forbidden, ObjectStore, StoreError
from bridge.store.deadline import deadline
from bridge.tenants.api import (
    ALL_RIGHTS,
    AlreadyThere,
    Credential,
    Invalid,
    NewCredential,
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
from bridge.tenants.bucket_copy import drop_copy, write_copy
from bridge.tenants.jobs import COPY, REVOKE, Jobs, new_job
from bridge.tenants.records import DELETE, CredentialRow, Job, Records, TenantRow, TokenRow
from bridge.tenants.sealing import CREDENTIAL_GRANT, JOB, TENANT_GRANT, Sealer
from bridge.tenants.sign_in import Tokens, digest_of, new_secret, new_token, token_text
from bridge.tenants.storage import Storage
from bridge.tenants.usage import Change
from bridge.tenants.usage_rows import TenantUsage, usage_days_of
from bridge.tenants.vault import Keyrings, bridge_prefix, vault_prefix

_TENANT_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.@-]{0,126}[A-Za-z0-9])?")
_PRODUCT = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARTNER = re.compile(rf"(?=.{{1,200}}$){_PRODUCT}(/{_PRODUCT})?")
"""RFC 9110, section 10.1.5: a product, perhaps with its version."""

_TOKEN_LABEL = 128
_LARGEST_QUOTA = 1 << 62

_LAST_SECOND = 253_402_300_799
"""The end of the year 9999, the last a grant can name."""

_WHOLE = LeaseName(b"", b"whole tenant")
"""Held by whoever makes or deletes a tenant, or writes its copy."""

_WAIT = 20.0
"""Seconds to wait for another process that does so."""

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
        if not _TENANT_ID.fullmatch(tenant_id):
            raise Invalid(
                f"{tenant_id!r} is no name for a tenant: up to 63 lower case letters, digits and -"
            )
        _check_quota(quota)
        if partner and not _PARTNER.fullmatch(partner):
            raise Invalid(f"{partner!r} is no partner: a product's name, or name/version")
        wanted = self._storage.bucket_for(bucket)
        with self._alone(tenant_id):
            self._clear(tenant_id)
            created = self._clock()
            tenant = Tenant(tenant_id, Status.CREATING, wanted, quota, partner, created)
            grant = self._storage.tenant_grant(tenant, root=root_grant, own=own_grant)
            return self._make(tenant, grant)

    def _make(self, tenant: Tenant, grant: str) -> NewTenant:
        tenant_id = tenant.id
        row = TenantRow(tenant, sealed_grant=self._sealed(TENANT_GRANT, tenant_id, grant))
        with closing(self._storage.open(tenant, grant)) as store:
            keyrings = Keyrings(store, self._keks, tenant_id)
            _require_empty(store, tenant_id)
            # Its grant, whose key exists nowhere else, is kept before anything is written with it.
            self.records.add_tenant(row)
            _, identity = keyrings.open(create=True)
            if identity is None:
                raise AlreadyThere(f"tenant {tenant_id} is being made by another process too")
            number, sealed = keyrings.newest_sealed()
            self.records.set_keyring(tenant_id, 0, number, sealed)
            recovery = self._storage.recovery_grant(tenant, grant)
            try:
                ready = replace(row, tenant=replace(tenant, status=Status.ACTIVE))
                write_copy(store, self._keks[0], ready, [])
            except StoreError:
                self.records.add_job(new_job(COPY, tenant_id))
            # Last: until then it is begun anew when somebody asks again, for want of the identity.
            tenant = self.records.set_status(tenant_id, Status.ACTIVE, before=(Status.CREATING,))
        return NewTenant(tenant, identity, recovery)

    def _clear(self, tenant_id: str) -> None:
        """Remove what a creation that broke off has left. Raises AlreadyThere for a whole tenant.

        Nobody could sign in to it, and its recovery identity was shown to nobody. That its row is
        there says that before it nothing was in the store.
        """
        old = self.records.find_tenant(tenant_id)
        if old is None:
            return
        if old.tenant.status is not Status.CREATING:
            raise AlreadyThere(f"there is a tenant {tenant_id} already")
        with closing(self._open(old)) as store:
            _purge(store, bridge_prefix(tenant_id))
            _purge(store, vault_prefix(tenant_id))
        self.records.drop_tenant(old.tenant)

    @contextmanager
    def _alone(self, tenant_id: str) -> Iterator[Lease]:
        """Let nobody else make, delete or copy the tenant. Raises NotForTenant."""
        try:
            held = self._state.tree(tenant_id).acquire([_WHOLE], [], wait=_WAIT)
        except LeaseBusy:
            raise NotForTenant(
                f"tenant {tenant_id} is being made, deleted or copied by another process; try again"
            ) from None
        with held as lease:
            lease.unchanged()
            yield lease

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
        if tenant_id == self.declared:
            raise NotForTenant(
                f"tenant {tenant_id} is declared in the configuration: take [tenant] out first"
            )
        row = self.records.tenant(tenant_id)
        grant = self._grant(row)

        def left(credentials: Sequence[CredentialRow]) -> list[Job]:
            revoked = [self._revocation(row, each, grant) for each in credentials]
            which = f"{purge}\n{row.tenant.created!r}"
            last = new_job(DELETE, tenant_id, self._sealed(JOB, tenant_id, which))
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
        self._check_end(expires, "credential")
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
        if tenant_id == self.declared and not label:
            raise NotForTenant(
                f"credential {tenant_id} is declared in the configuration: change its secret there"
            )
        row = self.records.tenant(tenant_id)
        grant = self._grant(row)
        made: list[Job] = []

        def revocation(its: CredentialRow) -> Job | None:
            job = self._revocation(row, its, grant)
            made[:] = [] if job is None else [job]
            return job

        self.records.revoke_credential(tenant_id, label, revocation)
        self.changed()
        for job in made:
            self.jobs.run(job)
        self.keep_copy(tenant_id)

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
        self._check_end(expires, "token")
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

    def _check_end(self, expires: float | None, what: str) -> None:
        if expires is not None and expires <= self._clock():
            raise Invalid(f"the {what} would have expired already")
        if expires is not None and not expires <= _LAST_SECOND:
            raise Invalid("a time to end at is before the year 10000")

    # Usage

    def usage(
        self, tenant_id: str | None = None, *, first: str | None = None, last: str | None = None
    ) -> Sequence[UsageDay]:
        """See ``Administration``."""
        if tenant_id is not None:
            # Not what another of its name did before it.
            made = datetime.fromtimestamp(self.records.tenant(tenant_id).tenant.created, UTC)
            first = max(first or "", made.date().isoformat())
        self.meter()
        return usage_days_of(self._state.rows, tenant_id, first, last)

    def meter(self) -> None:
        """Bring every tenant's byte-hours up to now, also where nothing moves."""
        for row in self.records.tenants():
            with suppress(NoSuchTenant):  # deleted just now
                TenantUsage(self._state.rows, row.tenant).add(Change(), {})

    # What is done until it succeeds

    def jobs_left(self, tenant_id: str) -> Sequence[Job]:
        """What is still to be done for a tenant, each with a note on why."""
        return self.records.jobs_of(tenant_id)

    def is_copied(self, tenant_id: str) -> bool:
        """Whether the bucket's copy is what the database says."""
        return all(job.kind != COPY for job in self.jobs_left(tenant_id))

    def keep_copy(self, tenant_id: str) -> None:
        """Have the bucket's copy follow, now or later."""
        job = new_job(COPY, tenant_id)
        self.records.add_job(job)
        self.jobs.run(job)

    def _copy(self, job: Job, _go_on: Callable[[], None]) -> None:
        """Write what the database says now; one at a time, or an older one could come last."""
        with self._alone(job.tenant) as lease, deadline(lease.remaining / 2):
            row = self.records.find_tenant(job.tenant)
            if row is None or row.tenant.status in (Status.CREATING, Status.DELETING):
                return
            with closing(self._open(row)) as store:
                write_copy(store, self._keks[0], row, self.records.credentials(job.tenant))

    def _revoke(self, job: Job, _go_on: Callable[[], None]) -> None:
        ancestor, grant = self.sealer.open(JOB, job.tenant, job.sealed).split("\n")
        self._storage.revoke(Tenant(job.tenant), ancestor, grant)

    def _delete(self, job: Job, go_on: Callable[[], None]) -> None:
        purge, created = self.sealer.open(JOB, job.tenant, job.sealed).split("\n")
        with self._alone(job.tenant) as lease:

            def still() -> None:
                lease.check()
                go_on()

            row = self.records.find_tenant(job.tenant)
            if row is None or row.tenant.status is not Status.DELETING:
                return
            if repr(row.tenant.created) != created:
                return  # another one of its name
            with closing(self._open(row)) as store:
                if purge == str(True):
                    _purge(store, vault_prefix(job.tenant), still)
                    _purge(store, bridge_prefix(job.tenant), still)
                else:
                    with suppress(Forbidden):  # a grant that was taken back can remove nothing
                        drop_copy(store, job.tenant)
            still()
            self.records.drop_tenant(row.tenant)
        self.gone(job.tenant)

    def _open(self, row: TenantRow) -> ObjectStore:
        return self._storage.open(row.tenant, self._grant(row))

    def _grant(self, row: TenantRow) -> str:
        return self.sealer.open(TENANT_GRANT, row.tenant.id, row.sealed_grant)

    def _sealed(self, purpose: str, tenant_id: str, plain: str) -> bytes:
        return self.sealer.seal(purpose, tenant_id, plain)


def _require_empty(store: ObjectStore, tenant_id: str) -> None:
    """Raise AlreadyThere where the store holds anything of a tenant of this name."""
    for prefix in (bridge_prefix(tenant_id), vault_prefix(tenant_id)):
        if any(True for _ in store.list(prefix, recursive=True)):
            raise AlreadyThere(
                f"the store holds a vault of a tenant {tenant_id}, which the state database does "
                "not know: storj-bridge recover brings it back, unless it was deleted and its "
                "files kept; else choose another name"
            )


def _purge(store: ObjectStore, prefix: str, go_on: Callable[[], None] = lambda: None) -> None:
    """Remove all objects and uploads under ``prefix``."""
    batch: list[str] = []
    for info in store.list(prefix, recursive=True):
        batch.append(info.key)
        if len(batch) == _DELETED_AT_ONCE:
            go_on()
            store.delete_many(batch)
            batch.clear()
    if batch:
        go_on()
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
