"""What the bucket keeps of a tenant, for the day the state database is lost.

One object, ``.bridge/<tenant id>/tenant``, outside the vault prefix: the tenant, its grant and its
credentials, sealed under the operator's key and replaced whole at each change. With the keyrings
beside it, ``recover`` needs nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence

from bridge.crypto import cbor
from bridge.crypto.errors import Tampered
from bridge.crypto.keyring import Kek
from bridge.crypto.secrets import open_secret, seal_secret
from bridge.store.api import NotFound, ObjectStore
from bridge.store.whole import read_whole
from bridge.tenants.api import Credential, Right, Status, Tenant
from bridge.tenants.credential_rows import CredentialRow, Digest
from bridge.tenants.tenant_rows import TenantRow
from bridge.tenants.vault import bridge_prefix

_PURPOSE = "tenant"

_LARGEST = 16 << 20
"""Most bytes of a copy that are read: 1,000 credentials take about 1 MiB."""

_TENANT = {0: str, 1: str, 2: str, 3: list, 4: str, 5: int, 6: bytes, 7: list}
"""id, status, bucket, quota (none or one), partner, created in ns, sealed grant, credentials."""

_CREDENTIAL = (str, int, str, int, list, bytes, bytes, bytes)
"""label, rights, root, created in ns, expires in ns (none or one), salt, digest, sealed grant."""


def copy_key(tenant_id: str) -> str:
    """Where the copy lies."""
    return f"{bridge_prefix(tenant_id)}tenant"


def write_copy(
    store: ObjectStore, kek: Kek, row: TenantRow, credentials: Sequence[CredentialRow]
) -> None:
    """Replace the copy. Raises StoreError."""
    tenant = row.tenant
    plain = cbor.encode(
        {
            0: tenant.id,
            1: tenant.status.value,
            2: tenant.bucket,
            3: [] if tenant.quota is None else [tenant.quota],
            4: tenant.partner,
            5: cbor.nanoseconds(tenant.created),
            6: row.sealed_grant,
            7: [_encoded(each) for each in credentials],
        }
    )
    sealed = seal_secret(kek, _PURPOSE, tenant.id, plain)
    upload = store.put(copy_key(tenant.id))
    try:
        upload.write(sealed)
        upload.commit({})
    finally:
        upload.abort()


def drop_copy(store: ObjectStore, tenant_id: str) -> None:
    """Remove the copy. Raises StoreError."""
    store.delete(copy_key(tenant_id))


def read_copy(
    store: ObjectStore, keks: tuple[Kek, ...], tenant_id: str
) -> tuple[TenantRow, list[CredentialRow]] | None:
    """What the copy holds, None where there is none. Raises StoreError, CryptoError."""
    try:
        sealed = read_whole(store, copy_key(tenant_id), _LARGEST)
    except NotFound:
        return None
    plain = open_secret(keks, _PURPOSE, tenant_id, sealed)
    found = cbor.decode(plain, _TENANT, "tenant")
    if found.keys() != _TENANT.keys() or found[0] != tenant_id:
        raise Tampered("a tenant's copy lacks a field, or is another's")
    tenant = Tenant(
        found[0],
        Status(found[1]),
        found[2],
        next(iter(found[3]), None),
        found[4],
        cbor.seconds(found[5]),
    )
    return TenantRow(tenant, sealed_grant=found[6]), [_decoded(tenant, each) for each in found[7]]


def _encoded(row: CredentialRow) -> list[object]:
    credential = row.credential
    expires = credential.expires
    return [
        credential.label,
        int(credential.rights),
        credential.root,
        cbor.nanoseconds(credential.created),
        [] if expires is None else [cbor.nanoseconds(expires)],
        row.digest.salt,
        row.digest.digest,
        row.sealed_grant,
    ]


def _decoded(tenant: Tenant, fields: object) -> CredentialRow:
    if not isinstance(fields, list) or tuple(map(type, fields)) != _CREDENTIAL:
        raise Tampered("a credential in a tenant's copy has the wrong form")
    label, rights, root, created, expires, salt, digest, sealed = fields
    ends = [cbor.seconds(each) for each in expires]
    credential = Credential(
        tenant, label, Right(rights), root, cbor.seconds(created), next(iter(ends), None)
    )
    return CredentialRow(credential, Digest(salt, digest), sealed)
