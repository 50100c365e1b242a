"""A storage in memory, whose grants are words that say what they were cut from."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field

from bridge.store.api import ObjectInfo, ObjectStore, Unavailable
from bridge.store.memory import MemoryStore
from bridge.tenants.api import Right, Tenant


@dataclass
class Storage:
    """One store in memory whose grants are words; ``revoked`` are those taken back."""

    store: MemoryStore = field(default_factory=MemoryStore)
    revoked: list[tuple[str, str]] = field(default_factory=list)
    away: bool = False
    fail_lists: int = 0
    """How many listings are still to fail."""

    def bucket_for(self, wanted: str | None) -> str:
        return wanted or "bucket"

    def tenant_grant(self, tenant: Tenant, *, root: str | None, own: str | None) -> str:
        return own or f"{root}/{tenant.id}/{os.urandom(4).hex()}"

    def following_grant(
        self, tenant: Tenant, former: str, *, root: str | None, own: str | None
    ) -> str:
        return self.tenant_grant(tenant, root=root, own=own)

    def retire(self, tenant: Tenant, given: str, former: str) -> bool:
        if not former.startswith(f"{given}/"):
            return False
        self.revoke(tenant, given, former)
        return True

    def are_one(self, grant: str, other: str) -> bool:
        return grant == other

    def credential_grant(
        self, tenant: Tenant, grant: str, rights: Right, expires: float | None
    ) -> str:
        return f"{grant}/{int(rights)}/{os.urandom(4).hex()}"

    def recovery_grant(self, tenant: Tenant, grant: str) -> str:
        return f"{grant}/recovery"

    def revoke(self, tenant: Tenant, ancestor: str, grant: str) -> None:
        if self.away:
            raise Unavailable("the satellite does not answer")
        self.revoked.append((ancestor, grant))

    def open(self, tenant: Tenant, grant: str) -> ObjectStore:
        return _Kept(self)


class _Kept(MemoryStore):
    """The same store, which closing leaves open."""

    def __init__(self, storage: Storage) -> None:
        self.__dict__ = dict(storage.store.__dict__)
        self._storage = storage

    def list(
        self, prefix: str, *, recursive: bool = False, cursor: str | None = None
    ) -> Iterator[ObjectInfo]:
        if self._storage.fail_lists:
            self._storage.fail_lists -= 1
            raise Unavailable("the satellite did not answer")
        return super().list(prefix, recursive=recursive, cursor=cursor)

    def close(self) -> None:
        pass
