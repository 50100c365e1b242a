"""Tenants, credentials, tokens and jobs as the state database keeps them.

What a change must not do is found out within the transaction, before its first statement that
changes something: it shares the transaction with others and cannot take it back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from sqlalchemy import bindparam, delete, select, update

from bridge.state.api import Rows, Transaction
from bridge.state.schema import changes, credentials, jobs, locks, tenants, tokens
from bridge.tenants.api import (
    AlreadyThere,
    Credential,
    NoSuchCredential,
    NoSuchTenant,
    NoSuchToken,
    NotForTenant,
    Right,
    Status,
    Tenant,
    Token,
    Used,
)

DELETE = "delete"
"""The kind of the job that ends a deletion."""

MOST_CREDENTIALS = 1_000
"""Credentials of one tenant. The bucket's copy has them all, and is read whole."""

KEYS = "keys"
"""The change that says that a tenant has another keyring."""


NOTHING = Used(0, 0, 0, None)
"""What a new tenant holds."""


class Digest(NamedTuple):
    """What is kept of a secret: HMAC-SHA256 of it under ``salt``."""

    salt: bytes
    digest: bytes


@dataclass(frozen=True, slots=True)
class TenantRow:
    """A tenant and what only this program needs of it, sealed.

    ``keyring``: the number of its newest keyring, 0 before the first.
    """

    tenant: Tenant
    keyring: int = 0
    sealed_keyring: bytes = b""
    sealed_grant: bytes = b""
    used: Used = NOTHING


@dataclass(frozen=True, slots=True)
class CredentialRow:
    """A credential and what only this program needs of it; ``sealed_grant`` empty without Storj."""

    credential: Credential
    digest: Digest
    sealed_grant: bytes = b""


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A token and what is kept of its secret."""

    token: Token
    digest: Digest


@dataclass(frozen=True, slots=True)
class Job:
    """Something to be done until it succeeds. ``due``: Unix seconds before which it rests."""

    id: str
    kind: str
    tenant: str
    sealed: bytes
    due: float
    tries: int
    note: str


_TENANT = tuple(tenants.c[name] for name in (
    "id", "status", "bucket", "quota", "partner", "created", "keyring", "sealed_keyring",
    "sealed_grant", "used_bytes", "stored_bytes", "files", "counted",
))  # fmt: skip
_CREDENTIAL = tuple(credentials.c[name] for name in (
    "label", "rights", "root", "created", "expires", "salt", "digest", "sealed_grant",
))  # fmt: skip
_TOKEN = tuple(tokens.c[name] for name in (
    "id", "label", "tenant", "created", "expires", "salt", "digest",
))  # fmt: skip
_JOB = tuple(jobs.c[name] for name in ("id", "kind", "tenant", "sealed", "due", "tries", "note"))

_THIS_TENANT = tenants.c.id == bindparam("tenant")
_ITS = credentials.c.tenant == bindparam("tenant")
_THIS_CREDENTIAL = _ITS & (credentials.c.label == bindparam("name"))
_THIS_TOKEN = tokens.c.id == bindparam("token")
_THIS_JOB = jobs.c.id == bindparam("job")

_ALL_TENANTS = select(*_TENANT).order_by(tenants.c.id)
_ONE_TENANT = select(*_TENANT).where(_THIS_TENANT)
_KEYRINGS = select(tenants.c.id, tenants.c.keyring, tenants.c.created)
_ALL_CREDENTIALS = select(*_CREDENTIAL).where(_ITS).order_by(credentials.c.label)
_SIGN_IN = (
    select(*_TENANT, *_CREDENTIAL)
    .join_from(tenants, credentials, tenants.c.id == credentials.c.tenant)
    .where(_THIS_TENANT, credentials.c.label == bindparam("name"))
)
_ALL_TOKENS = select(*_TOKEN).order_by(tokens.c.created, tokens.c.id)
_ONE_TOKEN = select(*_TOKEN).where(_THIS_TOKEN)
_DUE_JOBS = select(*_JOB).where(jobs.c.due <= bindparam("now")).order_by(jobs.c.due, jobs.c.id)
_ITS_JOBS = select(*_JOB).where(jobs.c.tenant == bindparam("tenant")).order_by(jobs.c.due)
_CHANGE = select(changes.c.number).where(changes.c.name == bindparam("name"))

_ADD_TENANT = tenants.insert().values({column.name: bindparam(column.name) for column in _TENANT})
_ADD_CREDENTIAL = credentials.insert().values(
    {"tenant": bindparam("tenant")}
    | {column.name: bindparam(column.name) for column in _CREDENTIAL}
)
_ADD_TOKEN = tokens.insert().values({column.name: bindparam(column.name) for column in _TOKEN})
_ADD_JOB = jobs.insert().values({column.name: bindparam(column.name) for column in _JOB})
_ADD_CHANGE = changes.insert().values(name=bindparam("name"), number=bindparam("number"))

_DROP_LOCKS = delete(locks).where(locks.c.tenant == bindparam("its"))
_SET_STATUS = update(tenants).where(_THIS_TENANT).values(status=bindparam("new"))
_SET_QUOTA = update(tenants).where(_THIS_TENANT).values(quota=bindparam("new"))
_SET_GRANT = (
    update(tenants)
    .where(_THIS_TENANT, tenants.c.sealed_grant == bindparam("old"))
    .values(sealed_grant=bindparam("new"))
)
_SET_KEYRING = (
    update(tenants)
    .where(_THIS_TENANT, tenants.c.keyring == bindparam("old"))
    .values(keyring=bindparam("new"), sealed_keyring=bindparam("sealed"))
)
_SET_SECRET = (
    update(credentials)
    .where(_THIS_CREDENTIAL)
    .values(salt=bindparam("salt_"), digest=bindparam("digest_"))
)
_SET_CREDENTIAL_GRANT = (
    update(credentials)
    .where(_THIS_CREDENTIAL, credentials.c.sealed_grant == bindparam("old"))
    .values(sealed_grant=bindparam("new"))
)
_SET_JOB = (
    update(jobs)
    .where(_THIS_JOB, jobs.c.due == bindparam("old"))
    .values(due=bindparam("new"), tries=bindparam("tried"), note=bindparam("said"))
)
_SET_JOB_SEAL = (
    update(jobs).where(_THIS_JOB, jobs.c.sealed == bindparam("old")).values(sealed=bindparam("new"))
)
_SET_CHANGE = (
    update(changes).where(changes.c.name == bindparam("which")).values(number=changes.c.number + 1)
)

_DROP_TENANT = delete(tenants).where(_THIS_TENANT)
_DROP_CREDENTIAL = delete(credentials).where(_THIS_CREDENTIAL)
_DROP_CREDENTIALS = delete(credentials).where(_ITS)
_DROP_TOKEN = delete(tokens).where(_THIS_TOKEN)
_DROP_TOKENS = delete(tokens).where(tokens.c.tenant == bindparam("its"))
_DROP_JOB = delete(jobs).where(_THIS_JOB)
_DROP_DELETIONS = delete(jobs).where(
    jobs.c.tenant == bindparam("its"), jobs.c.kind == bindparam("what")
)


class Records:
    """Reads and changes them. Raises StateError besides what each method names."""

    def __init__(self, rows: Rows, clock: Callable[[], float] = time.time) -> None:
        self._rows = rows
        self._clock = clock

    # Tenants

    def tenants(self) -> list[TenantRow]:
        """All, by id."""
        return [_tenant(row) for row in self._rows.ask(_ALL_TENANTS)]

    def tenant(self, tenant_id: str) -> TenantRow:
        """Raises NoSuchTenant."""
        found = self.find_tenant(tenant_id)
        if found is None:
            raise _no_tenant(tenant_id)
        return found

    def find_tenant(self, tenant_id: str) -> TenantRow | None:
        """The tenant of this name, if there is one."""
        found = self._rows.ask(_ONE_TENANT, tenant=tenant_id)
        return _tenant(found[0]) if found else None

    def add_tenant(self, row: TenantRow, its: Sequence[CredentialRow] = ()) -> None:
        """Add one, with ``its`` credentials. Raises AlreadyThere."""
        tenant = row.tenant

        def add(transaction: Transaction) -> None:
            if transaction.execute(_ONE_TENANT, tenant=tenant.id).rows:
                raise AlreadyThere(f"there is a tenant {tenant.id} already")
            _insert_tenant(transaction, row)
            for credential in its:
                _insert_credential(transaction, credential)

        self._rows.write(add)

    def set_status(
        self, tenant_id: str, status: Status, *, before: Sequence[Status] = tuple(Status)
    ) -> Tenant:
        """Change it, if it is one of ``before``. Raises NoSuchTenant, NotForTenant."""

        def change(transaction: Transaction) -> Tenant:
            row = _the(transaction, tenant_id)
            if row.tenant.status not in before:
                raise NotForTenant(f"tenant {tenant_id} is {row.tenant.status.value}")
            transaction.execute(_SET_STATUS, tenant=tenant_id, new=status.value)
            return replace(row.tenant, status=status)

        return self._rows.write(change)

    def set_quota(self, tenant_id: str, quota: int | None) -> Tenant:
        """Raises NoSuchTenant."""

        def change(transaction: Transaction) -> Tenant:
            row = _the(transaction, tenant_id)
            transaction.execute(_SET_QUOTA, tenant=tenant_id, new=quota)
            return replace(row.tenant, quota=quota)

        return self._rows.write(change)

    def reseal_grant(self, tenant_id: str, old: bytes, new: bytes) -> bool:
        """Put ``new`` in the place of the sealed grant if ``old`` is there; whether it was."""
        answer = self._rows.write(
            lambda it: it.execute(_SET_GRANT, tenant=tenant_id, old=old, new=new)
        )
        return answer.changed == 1

    def set_keyring(self, tenant_id: str, old: int, new: int, sealed: bytes) -> bool:
        """Note a newer keyring, if ``old`` is still the number noted; whether it was."""

        def change(transaction: Transaction) -> bool:
            answer = transaction.execute(
                _SET_KEYRING, tenant=tenant_id, old=old, new=new, sealed=sealed
            )
            if answer.changed:
                _count(transaction, KEYS)
            return answer.changed == 1

        return self._rows.write(change)

    def keyring_numbers(self) -> dict[str, tuple[int, float]]:
        """The number of each tenant's newest keyring, and its creation, by the tenant's id."""
        return {row[0]: (row[1], row[2]) for row in self._rows.ask(_KEYRINGS)}

    def drop_tenant(self, tenant: Tenant) -> None:
        """Forget it, its credentials, tokens and locks; jobs are left to be done.

        Not another one of its name, made since.
        """
        tenant_id = tenant.id

        def drop(transaction: Transaction) -> None:
            found = transaction.execute(_ONE_TENANT, tenant=tenant_id).rows
            if not found or _tenant(found[0]).tenant.created != tenant.created:
                return
            transaction.execute(_DROP_LOCKS, its=tenant_id)
            transaction.execute(_DROP_TOKENS, its=tenant_id)
            transaction.execute(_DROP_CREDENTIALS, tenant=tenant_id)
            transaction.execute(_DROP_TENANT, tenant=tenant_id)

        self._rows.write(drop)

    # Credentials

    def sign_in(self, tenant_id: str, label: str) -> tuple[TenantRow, CredentialRow] | None:
        """Both rows of a credential, by one question."""
        found = self._rows.ask(_SIGN_IN, tenant=tenant_id, name=label)
        if not found:
            return None
        row = _tenant(found[0][: len(_TENANT)])
        return row, _credential(row.tenant, found[0][len(_TENANT) :])

    def credentials(self, tenant_id: str) -> list[CredentialRow]:
        """All of a tenant, by label. Raises NoSuchTenant."""
        tenant = self.tenant(tenant_id).tenant
        found = self._rows.ask(_ALL_CREDENTIALS, tenant=tenant_id)
        return [_credential(tenant, row) for row in found]

    def add_credential(self, row: CredentialRow) -> None:
        """Raises NoSuchTenant, AlreadyThere, NotForTenant."""
        tenant_id, label = row.credential.tenant.id, row.credential.label

        def add(transaction: Transaction) -> None:
            status = _the(transaction, tenant_id).tenant.status
            if status not in (Status.ACTIVE, Status.SUSPENDED):
                raise NotForTenant(f"tenant {tenant_id} is {status.value}")
            known = transaction.execute(_ALL_CREDENTIALS, tenant=tenant_id).rows
            if any(each[0] == label for each in known):
                raise AlreadyThere(f"there is a credential {row.credential.name} already")
            if len(known) >= MOST_CREDENTIALS:
                raise NotForTenant(f"a tenant has no more than {MOST_CREDENTIALS} credentials")
            _insert_credential(transaction, row)

        self._rows.write(add)

    def set_secret(self, tenant_id: str, label: str, digest: Digest) -> None:
        """Replace what is kept of a credential's secret."""
        self._rows.write(
            lambda it: it.execute(
                _SET_SECRET, tenant=tenant_id, name=label, salt_=digest.salt, digest_=digest.digest
            )
        )

    def reseal_credential(self, tenant_id: str, label: str, old: bytes, new: bytes) -> bool:
        """As ``reseal_grant``, for a credential's."""
        answer = self._rows.write(
            lambda it: it.execute(
                _SET_CREDENTIAL_GRANT, tenant=tenant_id, name=label, old=old, new=new
            )
        )
        return answer.changed == 1

    def revoke_credential(
        self, tenant_id: str, label: str, job: Callable[[CredentialRow], Job | None]
    ) -> Credential:
        """Forget one, and keep ``job`` in the same step. Raises NoSuchTenant, NoSuchCredential."""

        def revoke(transaction: Transaction) -> Credential:
            tenant = _the(transaction, tenant_id).tenant
            found = transaction.execute(_SIGN_IN, tenant=tenant_id, name=label).rows
            if not found:
                name = Credential(tenant, label).name
                raise NoSuchCredential(f"there is no credential {name}")
            row = _credential(tenant, found[0][len(_TENANT) :])
            left = job(row)
            if left is not None:
                _insert_job(transaction, left)
            transaction.execute(_DROP_CREDENTIAL, tenant=tenant_id, name=label)
            return row.credential

        return self._rows.write(revoke)

    def begin_deletion(
        self, tenant_id: str, job: Callable[[Sequence[CredentialRow]], Sequence[Job]]
    ) -> None:
        """Mark a tenant as being deleted, forget credentials and tokens, and keep what is to do.

        What was to do by an earlier deletion is replaced. Raises NoSuchTenant.
        """

        def begin(transaction: Transaction) -> None:
            tenant = _the(transaction, tenant_id).tenant
            transaction.execute(_DROP_DELETIONS, its=tenant_id, what=DELETE)
            found = transaction.execute(_ALL_CREDENTIALS, tenant=tenant_id).rows
            for each in job([_credential(tenant, row) for row in found]):
                _insert_job(transaction, each)
            transaction.execute(_SET_STATUS, tenant=tenant_id, new=Status.DELETING.value)
            transaction.execute(_DROP_CREDENTIALS, tenant=tenant_id)
            transaction.execute(_DROP_TOKENS, its=tenant_id)

        self._rows.write(begin)

    # Tokens

    def tokens(self) -> list[TokenRow]:
        """All, by their creation."""
        return [_token(row) for row in self._rows.ask(_ALL_TOKENS)]

    def token(self, token_id: str) -> TokenRow | None:
        """The token with this id."""
        found = self._rows.ask(_ONE_TOKEN, token=token_id)
        return _token(found[0]) if found else None

    def add_token(self, row: TokenRow) -> None:
        """Raises NoSuchTenant."""
        token = row.token

        def add(transaction: Transaction) -> None:
            if token.tenant is not None:
                _the(transaction, token.tenant)
            transaction.execute(
                _ADD_TOKEN,
                id=token.id,
                label=token.label,
                tenant=token.tenant,
                created=token.created,
                expires=token.expires,
                salt=row.digest.salt,
                digest=row.digest.digest,
            )

        self._rows.write(add)

    def drop_token(self, token_id: str) -> None:
        """Raises NoSuchToken."""
        changed = self._rows.write(lambda it: it.execute(_DROP_TOKEN, token=token_id).changed)
        if not changed:
            raise NoSuchToken(f"there is no token {token_id}")

    # Jobs

    def add_job(self, job: Job) -> None:
        """Keep something to be done."""
        self._rows.write(lambda it: _insert_job(it, job))

    def due_jobs(self) -> list[Job]:
        """Those whose time has come, the oldest first."""
        return [Job(*row) for row in self._rows.ask(_DUE_JOBS, now=self._clock())]

    def jobs_of(self, tenant_id: str) -> list[Job]:
        """What is still to be done for a tenant."""
        return [Job(*row) for row in self._rows.ask(_ITS_JOBS, tenant=tenant_id)]

    def put_off(self, job: Job, after: Job) -> bool:
        """Replace its time, tries and note; False if another process has taken it meanwhile."""
        answer = self._rows.write(
            lambda it: it.execute(
                _SET_JOB,
                job=job.id,
                old=job.due,
                new=after.due,
                tried=after.tries,
                said=after.note,
            )
        )
        return answer.changed == 1

    def reseal_job(self, job_id: str, old: bytes, new: bytes) -> bool:
        """As ``reseal_grant``, for what a job seals."""
        answer = self._rows.write(
            lambda it: it.execute(_SET_JOB_SEAL, job=job_id, old=old, new=new)
        )
        return answer.changed == 1

    def drop_job(self, job_id: str) -> None:
        """It is done."""
        self._rows.write(lambda it: it.execute(_DROP_JOB, job=job_id))

    def change(self, name: str) -> int:
        """How often what ``name`` stands for has changed."""
        found = self._rows.ask(_CHANGE, name=name)
        return int(found[0][0]) if found else 0


def _no_tenant(tenant_id: str) -> NoSuchTenant:
    return NoSuchTenant(f"there is no tenant {tenant_id}")


def _the(transaction: Transaction, tenant_id: str) -> TenantRow:
    found = transaction.execute(_ONE_TENANT, tenant=tenant_id).rows
    if not found:
        raise _no_tenant(tenant_id)
    return _tenant(found[0])


def _count(transaction: Transaction, name: str) -> None:
    if not transaction.execute(_SET_CHANGE, which=name).changed:
        transaction.execute(_ADD_CHANGE, name=name, number=1)


def _insert_tenant(transaction: Transaction, row: TenantRow) -> None:
    tenant, used = row.tenant, row.used
    transaction.execute(
        _ADD_TENANT,
        id=tenant.id,
        status=tenant.status.value,
        bucket=tenant.bucket,
        quota=tenant.quota,
        partner=tenant.partner,
        created=tenant.created,
        keyring=row.keyring,
        sealed_keyring=row.sealed_keyring,
        sealed_grant=row.sealed_grant,
        used_bytes=used.bytes,
        stored_bytes=used.stored,
        files=used.files,
        counted=used.counted,
    )


def _insert_credential(transaction: Transaction, row: CredentialRow) -> None:
    credential = row.credential
    transaction.execute(
        _ADD_CREDENTIAL,
        tenant=credential.tenant.id,
        label=credential.label,
        rights=int(credential.rights),
        root=credential.root,
        created=credential.created,
        expires=credential.expires,
        salt=row.digest.salt,
        digest=row.digest.digest,
        sealed_grant=row.sealed_grant,
    )


def _insert_job(transaction: Transaction, job: Job) -> None:
    transaction.execute(
        _ADD_JOB,
        id=job.id,
        kind=job.kind,
        tenant=job.tenant,
        sealed=job.sealed,
        due=job.due,
        tries=job.tries,
        note=job.note,
    )


def _tenant(row: Sequence[Any]) -> TenantRow:
    (name, status, bucket, quota, partner, created, keyring, sealed_keyring, sealed_grant,
     used_bytes, stored_bytes, files, counted) = row  # fmt: skip
    return TenantRow(
        Tenant(name, Status(status), bucket, quota, partner or "", created),
        keyring,
        sealed_keyring or b"",
        sealed_grant or b"",
        Used(used_bytes, stored_bytes, files, counted),
    )


def _credential(tenant: Tenant, row: Sequence[Any]) -> CredentialRow:
    label, rights, root, created, expires, salt, digest, sealed_grant = row
    return CredentialRow(
        Credential(tenant, label, Right(rights), root, created, expires),
        Digest(salt, digest),
        sealed_grant or b"",
    )


def _token(row: Sequence[Any]) -> TokenRow:
    name, label, tenant, created, expires, salt, digest = row
    return TokenRow(Token(name, label, tenant, created, expires), Digest(salt, digest))
