"""Removing all that a store holds of a tenant."""

from __future__ import annotations

from collections.abc import Callable

from bridge.store.api import ObjectStore
from bridge.tenants.vault import bridge_prefix, vault_prefix

_AT_ONCE = 1_000


def purge(store: ObjectStore, tenant_id: str, go_on: Callable[[], None] = lambda: None) -> None:
    """Remove a tenant's vault, and what the bridge keeps beside it.

    ``go_on`` is called before each step; what it raises stops. Raises StoreError.
    """
    # The keyrings last: while they are there, nobody takes what is left for nothing.
    for prefix in (vault_prefix(tenant_id), bridge_prefix(tenant_id)):
        batch: list[str] = []
        for info in store.list(prefix, recursive=True):
            batch.append(info.key)
            if len(batch) == _AT_ONCE:
                go_on()
                store.delete_many(batch)
                batch.clear()
        if batch:
            go_on()
            store.delete_many(batch)
        for upload in store.list_multiparts(prefix):
            store.abort_multipart(upload.key, upload.upload_id)
