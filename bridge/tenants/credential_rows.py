"""Credentials, as the state database keeps them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import bindparam, delete, select, update

from bridge.state.api import Rows, Transaction
from bridge.state.schema import credentials, locks, tenants
from bridge.tenants.api import (
    AlreadyThere,
    Credential,
    NoSuchCredential,
    NoSuchTenant,
    NotForTenant,
    Right,
    Status,
    Tenant,
)
from bridge.tenants.job_rows import REVOKE, Job, insert_job, new_job, replace_waiting
from bridge.tenants.tenant_rows import (
    COLUMNS,
    ONE_TENANT,
    THIS_TENANT,
    TenantRow,
    no_such_tenant,
    tenant_of,
    the_tenant,
)

MOST_CREDENTIALS = 1_000
"""Credentials of one tenant. The bucket's copy has them all, and is read whole."""


class Digest(NamedTuple):
    """What is kept of a secret: HMAC-SHA256 of it under ``salt``."""

    salt: bytes
    digest: bytes


@dataclass(frozen=True, slots=True)
class CredentialRow:
    """A credential and what only this program needs of it; ``sealed_grant`` empty without Storj."""

    credential: Credential
    digest: Digest
    sealed_grant: bytes = b""


class Standing(NamedTuple):
    """What says whether a credential is still the one it was, and may be used.

    ``made``: its tenant's creation; times are Unix seconds.
    """

    status: Status
    made: float
    created: float
    expires: float | None


_COLUMNS = tuple(credentials.c[name] for name in (
    "label", "rights", "root", "created", "expires", "salt", "digest", "sealed_grant",
))  # fmt: skip

_ITS = credentials.c.tenant == bindparam("tenant")
_THIS = _ITS & (credentials.c.label == bindparam("name"))
_WITH_TENANT = tenants.c.id == credentials.c.tenant

_ALL = select(*_COLUMNS).where(_ITS).order_by(credentials.c.label)
_ONE = select(*_COLUMNS).where(_THIS)
_SIGN_IN = (
    select(*COLUMNS, *_COLUMNS)
    .join_from(tenants, credentials, _WITH_TENANT)
    .where(THIS_TENANT, credentials.c.label == bindparam("name"))
)
_STANDING = (
    select(tenants.c.status, tenants.c.created, credentials.c.created, credentials.c.expires)
    .join_from(tenants, credentials, _WITH_TENANT)
    .where(THIS_TENANT, credentials.c.label == bindparam("name"))
)
_ADD = credentials.insert().values(
    {"tenant": bindparam("tenant")} | {column.name: bindparam(column.name) for column in _COLUMNS}
)
_SET_SECRET = (
    update(credentials).where(_THIS).values(salt=bindparam("salt_"), digest=bindparam("digest_"))
)
_RESEAL = (
    update(credentials)
    .where(_THIS, credentials.c.sealed_grant == bindparam("old"))
    .values(sealed_grant=bindparam("new"))
)
_DROP = delete(credentials).where(_THIS)
_DROP_ALL = delete(credentials).where(_ITS)
_DROP_LOCKS = delete(locks).where(
    locks.c.tenant == bindparam("its"), locks.c.principal == bindparam("whose")
)


def insert_credential(transaction: Transaction, row: CredentialRow) -> None:
    """Add one, where none of its name is."""
    credential = row.credential
    transaction.execute(
        _ADD,
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


def drop_credentials(transaction: Transaction, tenant: TenantRow) -> None:
    """Forget all of a tenant, and keep what is to be done at the satellite."""
    for found in transaction.execute(_ALL, tenant=tenant.tenant.id).rows:
        job = _revocation(tenant, _credential(tenant.tenant, found))
        if job is not None:
            insert_job(transaction, job)
    transaction.execute(_DROP_ALL, tenant=tenant.tenant.id)


def sealed_grants(transaction: Transaction, tenant_id: str) -> dict[str, bytes]:
    """The sealed grants of a tenant's credentials, by label."""
    found = transaction.execute(_ALL, tenant=tenant_id).rows
    return {row[0]: row[-1] or b"" for row in found}


def replace_grants(
    transaction: Transaction, tenant_id: str, its: Mapping[str, tuple[bytes, bytes]]
) -> None:
    """Put others in place; ``its``: by label, the sealed grant that is and the one that comes."""
    for label, (old, new) in its.items():
        transaction.execute(_RESEAL, tenant=tenant_id, name=label, old=old, new=new)


def _revocation(tenant: TenantRow, credential: CredentialRow) -> Job | None:
    """What is to do at the satellite; both grants travel with it, since the rows go."""
    if not credential.sealed_grant:
        return None
    return new_job(REVOKE, tenant.tenant.id, tenant.sealed_grant, credential.sealed_grant)


class CredentialRows:
    """The credentials of all tenants. Raises StateError besides what each method names.

    ``copy``: the job that has the bucket's copy follow. It is kept with the change: one that comes
    behind it would be lost with the process, and ``recover`` let in who was revoked.
    """

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def of(self, tenant_id: str) -> list[CredentialRow]:
        """All of a tenant, by label. Raises NoSuchTenant."""
        found = self._rows.ask(ONE_TENANT, tenant=tenant_id)
        if not found:
            raise no_such_tenant(tenant_id)
        tenant = tenant_of(found[0]).tenant
        return [_credential(tenant, row) for row in self._rows.ask(_ALL, tenant=tenant_id)]

    def sign_in(self, tenant_id: str, label: str) -> tuple[TenantRow, CredentialRow] | None:
        """Both rows of a credential, by one question."""
        found = self._rows.ask(_SIGN_IN, tenant=tenant_id, name=label)
        if not found:
            return None
        row = tenant_of(found[0][: len(COLUMNS)])
        return row, _credential(row.tenant, found[0][len(COLUMNS) :])

    def standing(self, tenant_id: str, label: str) -> Standing | None:
        """How a credential stands; None when it is gone. Asked often, so it costs little."""
        found = self._rows.ask(_STANDING, tenant=tenant_id, name=label)
        if not found:
            return None
        status, made, created, expires = found[0]
        return Standing(Status(status), made, created, expires)

    def add(self, row: CredentialRow, parent: bytes, copy: Job) -> None:
        """Add one whose grant was cut from ``parent``, the tenant's, sealed as it was then.

        Raises NoSuchTenant, also where the tenant is another one of that name, made since the row's
        was read; AlreadyThere, NotForTenant.
        """
        tenant_id, label = row.credential.tenant.id, row.credential.label

        def add(transaction: Transaction) -> None:
            tenant = the_tenant(transaction, tenant_id)
            status = tenant.tenant.status
            if tenant.tenant.created != row.credential.tenant.created:
                raise NoSuchTenant(
                    f"tenant {tenant_id} was deleted just now, and another made by its name"
                )
            if tenant.sealed_grant != parent:  # or it would end with that
                raise NotForTenant(
                    f"the access grant of tenant {tenant_id} was replaced just now: try again"
                )
            if status not in (Status.ACTIVE, Status.SUSPENDED):
                raise NotForTenant(f"tenant {tenant_id} is {status.value}")
            known = transaction.execute(_ALL, tenant=tenant_id).rows
            if any(each[0] == label for each in known):
                raise AlreadyThere(f"there is a credential {row.credential.name} already")
            if len(known) >= MOST_CREDENTIALS:
                raise NotForTenant(f"a tenant has no more than {MOST_CREDENTIALS} credentials")
            insert_credential(transaction, row)
            replace_waiting(transaction, copy)

        self._rows.write(add)

    def set_secret(self, tenant_id: str, label: str, digest: Digest, copy: Job) -> None:
        """Replace what is kept of a credential's secret."""

        def change(transaction: Transaction) -> None:
            transaction.execute(
                _SET_SECRET, tenant=tenant_id, name=label, salt_=digest.salt, digest_=digest.digest
            )
            replace_waiting(transaction, copy)

        self._rows.write(change)

    def reseal(self, tenant_id: str, label: str, old: bytes, new: bytes) -> bool:
        """Put ``new`` in the place of the sealed grant if ``old`` is there; whether it was."""
        answer = self._rows.write(
            lambda it: it.execute(_RESEAL, tenant=tenant_id, name=label, old=old, new=new)
        )
        return answer.changed == 1

    def revoke(self, tenant_id: str, label: str, copy: Job) -> Job | None:
        """Forget one and its locks, and keep what is to be done at the satellite; returns that.

        All in one step. Its locks go too, since nobody else could give them back.
        Raises NoSuchTenant, NoSuchCredential.
        """

        def revoke(transaction: Transaction) -> Job | None:
            tenant = the_tenant(transaction, tenant_id)
            found = transaction.execute(_ONE, tenant=tenant_id, name=label).rows
            name = Credential(tenant.tenant, label).name
            if not found:
                raise NoSuchCredential(f"there is no credential {name}")
            job = _revocation(tenant, _credential(tenant.tenant, found[0]))
            if job is not None:
                insert_job(transaction, job)
            replace_waiting(transaction, copy)
            transaction.execute(_DROP, tenant=tenant_id, name=label)
            transaction.execute(_DROP_LOCKS, its=tenant_id, whose=name.encode())
            return job

        return self._rows.write(revoke)


def _credential(tenant: Tenant, row: Sequence[Any]) -> CredentialRow:
    label, rights, root, created, expires, salt, digest, sealed_grant = row
    return CredentialRow(
        Credential(tenant, label, Right(rights), root, created, expires),
        Digest(salt, digest),
        sealed_grant or b"",
    )
