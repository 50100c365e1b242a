"""Tenants and all that is kept of them in the state database.

Each kind of row has a module of its own; here is what is done to tenants, and to several kinds at
once. What a change must not do is found out within the transaction, before its first statement that
changes something: it shares the transaction with others and cannot take it back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from sqlalchemy import bindparam, delete, select, update

from bridge.state.api import Rows, Transaction
from bridge.state.schema import jobs, locks, tenants, tokens
from bridge.tenants.api import AlreadyThere, NotForTenant, Status, Tenant
from bridge.tenants.credential_rows import (
    CredentialRow,
    CredentialRows,
    drop_credentials,
    insert_credential,
    replace_grants,
    sealed_grants,
)
from bridge.tenants.job_rows import DELETE, Job, JobRows, insert_job, replace_waiting
from bridge.tenants.tenant_rows import (
    COLUMNS,
    ONE_TENANT,
    THIS_TENANT,
    TenantRow,
    find_tenant,
    insert_tenant,
    no_such_tenant,
    tenant_of,
    the_tenant,
)
from bridge.tenants.token_rows import TokenRows
from bridge.tenants.usage_rows import TenantUsage

_ALL = select(*COLUMNS).order_by(tenants.c.id)
_CONFIRMED = select(tenants.c.id, tenants.c.keyring, tenants.c.created, tenants.c.sealed_grant)

_SET_STATUS = update(tenants).where(THIS_TENANT).values(status=bindparam("new"))
_SET_QUOTA = update(tenants).where(THIS_TENANT).values(quota=bindparam("new"))
_SET_GRANT = (
    update(tenants)
    .where(THIS_TENANT, tenants.c.sealed_grant == bindparam("old"))
    .values(sealed_grant=bindparam("new"))
)
_SET_KEYRING = (
    update(tenants)
    .where(THIS_TENANT, tenants.c.keyring == bindparam("old"))
    .values(keyring=bindparam("new"), sealed_keyring=bindparam("sealed"))
)

_DROP = delete(tenants).where(THIS_TENANT)
_DROP_LOCKS = delete(locks).where(locks.c.tenant == bindparam("its"))
_DROP_TOKENS = delete(tokens).where(tokens.c.tenant == bindparam("its"))
_DELETIONS = select(jobs.c.id).where(
    jobs.c.tenant == bindparam("its"), jobs.c.kind == bindparam("what")
)
_DROP_DELETIONS = delete(jobs).where(
    jobs.c.tenant == bindparam("its"), jobs.c.kind == bindparam("what")
)


class Records:
    """Reads and changes them. Raises StateError besides what each method names."""

    def __init__(self, rows: Rows, clock: Callable[[], float] = time.time) -> None:
        self._rows = rows
        self.credentials = CredentialRows(rows)
        self.tokens = TokenRows(rows)
        self.jobs = JobRows(rows, clock)

    def tenants(self) -> list[TenantRow]:
        """All, by id."""
        return [tenant_of(row) for row in self._rows.ask(_ALL)]

    def tenant(self, tenant_id: str) -> TenantRow:
        """Raises NoSuchTenant."""
        found = self.find_tenant(tenant_id)
        if found is None:
            raise no_such_tenant(tenant_id)
        return found

    def find_tenant(self, tenant_id: str) -> TenantRow | None:
        """The tenant of this name, if there is one."""
        found = self._rows.ask(ONE_TENANT, tenant=tenant_id)
        return tenant_of(found[0]) if found else None

    def add_tenant(self, row: TenantRow, its: Sequence[CredentialRow] = ()) -> None:
        """Add one, with ``its`` credentials. Raises AlreadyThere."""
        tenant = row.tenant

        def add(transaction: Transaction) -> None:
            if find_tenant(transaction, tenant.id) is not None:
                raise AlreadyThere(f"there is a tenant {tenant.id} already")
            insert_tenant(transaction, row)
            for credential in its:
                insert_credential(transaction, credential)

        self._rows.write(add)

    def set_status(
        self,
        tenant_id: str,
        status: Status,
        *,
        before: Sequence[Status] = tuple(Status),
        copy: Job | None = None,
    ) -> Tenant:
        """Change it, if it is one of ``before``. Raises NoSuchTenant, NotForTenant.

        ``copy``: as ``CredentialRows``; None where the copy says it already.
        """

        def change(transaction: Transaction) -> Tenant:
            row = the_tenant(transaction, tenant_id)
            if row.tenant.status not in before:
                raise NotForTenant(f"tenant {tenant_id} is {row.tenant.status.value}")
            transaction.execute(_SET_STATUS, tenant=tenant_id, new=status.value)
            if copy is not None:
                replace_waiting(transaction, copy)
            return replace(row.tenant, status=status)

        return self._rows.write(change)

    def set_quota(self, tenant_id: str, quota: int | None, copy: Job) -> Tenant:
        """``copy``: as ``CredentialRows``. Raises NoSuchTenant."""

        def change(transaction: Transaction) -> Tenant:
            row = the_tenant(transaction, tenant_id)
            transaction.execute(_SET_QUOTA, tenant=tenant_id, new=quota)
            replace_waiting(transaction, copy)
            return replace(row.tenant, quota=quota)

        return self._rows.write(change)

    def reseal_grant(self, tenant_id: str, old: bytes, new: bytes) -> bool:
        """Put ``new`` in the place of the sealed grant if ``old`` is there; whether it was."""
        answer = self._rows.write(
            lambda it: it.execute(_SET_GRANT, tenant=tenant_id, old=old, new=new)
        )
        return answer.changed == 1

    def replace_grant(
        self,
        row: TenantRow,
        sealed: bytes,
        its: Mapping[str, tuple[bytes, bytes]],
        last: Sequence[Job],
    ) -> bool:
        """Put ``sealed`` in the place of a tenant's grant, other grants in that of its credentials.

        ``its``: by label, the sealed grant that is there and the one that comes. All of it, with
        the jobs ``last``, or nothing where one of them is not as ``row`` and ``its`` say; returns
        whether it was done.
        """
        tenant = row.tenant

        def replace_all(transaction: Transaction) -> bool:
            now = find_tenant(transaction, tenant.id)
            if now is None or now.tenant.created != tenant.created:
                return False
            before = {label: old for label, (old, _) in its.items()}
            if now.sealed_grant != row.sealed_grant or before != sealed_grants(
                transaction, tenant.id
            ):
                return False
            transaction.execute(_SET_GRANT, tenant=tenant.id, old=row.sealed_grant, new=sealed)
            replace_grants(transaction, tenant.id, its)
            for job in last:
                insert_job(transaction, job)
            return True

        return self._rows.write(replace_all)

    def set_keyring(self, tenant_id: str, old: int, new: int, sealed: bytes) -> bool:
        """Note a newer keyring, if ``old`` is still the number noted; whether it was."""
        answer = self._rows.write(
            lambda it: it.execute(_SET_KEYRING, tenant=tenant_id, old=old, new=new, sealed=sealed)
        )
        return answer.changed == 1

    def confirmed(self) -> dict[str, tuple[int, float, bytes]]:
        """Each tenant's newest keyring's number, creation and sealed grant, by its id."""
        return {row[0]: (row[1], row[2], row[3] or b"") for row in self._rows.ask(_CONFIRMED)}

    def begin_deletion(
        self, tenant_id: str, last: Callable[[Tenant], Job], *, replaces: bool
    ) -> None:
        """Mark a tenant as being deleted, forget credentials and tokens, and keep what is to do.

        Its byte-hours are charged up to now. ``last`` makes the job that ends it. If the tenant is
        being deleted already, that job stays as it is unless the new one ``replaces`` it.
        Raises NoSuchTenant.
        """

        def begin(transaction: Transaction) -> None:
            row = the_tenant(transaction, tenant_id)
            if row.tenant.status is Status.DELETING and not replaces:
                begun = transaction.execute(_DELETIONS, its=tenant_id, what=DELETE).rows
                if begun:
                    return
            job = last(row.tenant)
            # Perhaps for the last time: it may be gone before anybody meters it again.
            TenantUsage(self._rows, row.tenant).meter(transaction)
            transaction.execute(_DROP_DELETIONS, its=tenant_id, what=DELETE)
            drop_credentials(transaction, row)
            insert_job(transaction, job)
            transaction.execute(_SET_STATUS, tenant=tenant_id, new=Status.DELETING.value)
            transaction.execute(_DROP_TOKENS, its=tenant_id)

        self._rows.write(begin)

    def drop_tenant(self, tenant: Tenant, last: Job | None = None) -> None:
        """Forget it, its credentials, tokens and locks; jobs are left to be done, and ``last`` too.

        Not another one of its name, made since.
        """

        def drop(transaction: Transaction) -> None:
            found = find_tenant(transaction, tenant.id)
            if found is None or found.tenant.created != tenant.created:
                return
            transaction.execute(_DROP_LOCKS, its=tenant.id)
            transaction.execute(_DROP_TOKENS, its=tenant.id)
            drop_credentials(transaction, found)
            transaction.execute(_DROP, tenant=tenant.id)
            if last is not None:
                insert_job(transaction, last)

        self._rows.write(drop)
