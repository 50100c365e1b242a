"""A tenant as the state database keeps it: its row, read and written in transactions of others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, select

from bridge.state.api import Transaction
from bridge.state.schema import tenants
from bridge.tenants.api import NoSuchTenant, Status, Tenant, Used

NOTHING = Used(0, 0, 0, None)
"""What a new tenant holds."""


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


COLUMNS = tuple(tenants.c[name] for name in (
    "id", "status", "bucket", "quota", "partner", "created", "keyring", "sealed_keyring",
    "sealed_grant", "used_bytes", "stored_bytes", "files", "counted",
))  # fmt: skip
"""Of a row, as ``tenant_of`` takes them."""

THIS_TENANT = tenants.c.id == bindparam("tenant")
ONE_TENANT = select(*COLUMNS).where(THIS_TENANT)

_ADD = tenants.insert().values({column.name: bindparam(column.name) for column in COLUMNS})


def tenant_of(row: Sequence[Any]) -> TenantRow:
    """What a row of ``COLUMNS`` says."""
    (name, status, bucket, quota, partner, created, keyring, sealed_keyring, sealed_grant,
     used_bytes, stored_bytes, files, counted) = row  # fmt: skip
    return TenantRow(
        Tenant(name, Status(status), bucket, quota, partner or "", created),
        keyring,
        sealed_keyring or b"",
        sealed_grant or b"",
        Used(used_bytes, stored_bytes, files, counted),
    )


def find_tenant(transaction: Transaction, tenant_id: str) -> TenantRow | None:
    """The tenant of this name, if there is one."""
    found = transaction.execute(ONE_TENANT, tenant=tenant_id).rows
    return tenant_of(found[0]) if found else None


def the_tenant(transaction: Transaction, tenant_id: str) -> TenantRow:
    """Raises NoSuchTenant."""
    found = find_tenant(transaction, tenant_id)
    if found is None:
        raise no_such_tenant(tenant_id)
    return found


def no_such_tenant(tenant_id: str) -> NoSuchTenant:
    """There is no tenant of this name."""
    return NoSuchTenant(f"there is no tenant {tenant_id}")


def insert_tenant(transaction: Transaction, row: TenantRow) -> None:
    """Add one, where none of its name is."""
    tenant, used = row.tenant, row.used
    transaction.execute(
        _ADD,
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
