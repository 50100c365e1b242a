"""What tests do with tenants on a real Storj network."""

from __future__ import annotations

from bridge.app import Services
from bridge.files.api import FileTree
from bridge.files.path import Path
from bridge.store.api import ObjectStore
from bridge.tenants.api import Credential
from bridge.tenants.sealing import CREDENTIAL_GRANT, TENANT_GRANT


def put(tree: FileTree, name: str, content: bytes) -> None:
    writer = tree.create(Path((name,)), size=len(content))
    try:
        writer.write(content)
        writer.commit()
    except BaseException:
        writer.abort()
        raise


def get(tree: FileTree, name: str) -> bytes:
    content = b""
    with tree.open(Path((name,))) as reader:
        while block := reader.read(1 << 20):
            content += bytes(block)
    return content


def names(tree: FileTree) -> set[str]:
    return {entry.name for entry in tree.list(Path())}


def credential_of(services: Services, tenant: str, label: str = "") -> Credential:
    found = {each.label: each for each in services.administration.credentials(tenant)}
    return found[label]


def grant_of(services: Services, tenant: str, label: str | None = None) -> str:
    """A grant as whoever broke into the bridge would have it: a tenant's or a credential's."""
    records, sealer = services.administration.records, services.administration.sealer
    if label is None:
        return sealer.open(TENANT_GRANT, tenant, records.tenant(tenant).sealed_grant)
    (row,) = (each for each in records.credentials.of(tenant) if each.credential.label == label)
    return sealer.open(CREDENTIAL_GRANT, tenant, row.sealed_grant)


def store_by(services: Services, grant: str) -> ObjectStore:
    bucket = services.settings.store.bucket
    assert bucket is not None
    return services.stores.open("attacker", bucket=bucket, grant=grant)
