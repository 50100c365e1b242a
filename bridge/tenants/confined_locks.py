"""The locks of a tenant, as a credential sees and may change them.

They are kept by the tenant's own paths, so that all of its credentials meet each other's. To one
with a root folder, a lock of a folder above is one of its root, whose token and owner it does not
learn; of locks beside its root it learns nothing.
"""

from __future__ import annotations

from dataclasses import replace

from bridge.files.api import ROOT
from bridge.files.path import Path
from bridge.state.api import Lock, LockConflict, Locks
from bridge.tenants.api import Right
from bridge.tenants.confined import require


class ConfinedLocks:
    """``Locks`` at and below ``root``. To take, keep or give back a lock needs WRITE."""

    def __init__(self, locks: Locks, rights: Right, root: Path = ROOT) -> None:
        self._locks = locks
        self._rights = rights
        self._root = "" if root.is_root else str(root.canonical())

    def add(self, lock: Lock) -> None:
        """See ``Locks.add``. Raises NotAllowed too."""
        require(self._rights, Right.WRITE)
        try:
            self._locks.add(replace(lock, root=self._outer(lock.root)))
        except LockConflict as conflict:
            held = conflict.held
        else:
            return
        raise LockConflict(self._shown(held))

    def get(self, token: str) -> Lock | None:
        """See ``Locks.get``. A lock that is not within the root is unknown."""
        lock = self._locks.get(token)
        return None if lock is None or not self._is_within(lock) else self._shown(lock)

    def refresh(self, token: str, timeout: int) -> Lock | None:
        """See ``Locks.refresh``. Raises NotAllowed too."""
        require(self._rights, Right.WRITE)
        if self.get(token) is None:
            return None
        lock = self._locks.refresh(token, timeout)
        return None if lock is None else self._shown(lock)

    def remove(self, token: str) -> bool:
        """See ``Locks.remove``. Raises NotAllowed too."""
        require(self._rights, Right.WRITE)
        return self.get(token) is not None and self._locks.remove(token)

    def covering(self, path: str, *, children: bool = False) -> list[Lock]:
        """See ``Locks.covering``."""
        found = self._locks.covering(self._outer(path), children=children)
        return [self._shown(lock) for lock in found]

    def any(self) -> bool:
        """See ``Locks.any``: whether the tenant has any."""
        return self._locks.any()

    def remove_below(self, path: str) -> None:
        """See ``Locks.remove_below``."""
        self._locks.remove_below(self._outer(path))

    def purge(self) -> int:
        """See ``Locks.purge``: of the whole tenant."""
        return self._locks.purge()

    def _outer(self, path: str) -> str:
        """The tenant's path of one of the credential's."""
        return (self._root + path if path != "/" else self._root) or "/"

    def _is_within(self, lock: Lock) -> bool:
        return lock.root == self._root or lock.root.startswith(self._root + "/")

    def _shown(self, lock: Lock) -> Lock:
        if self._is_within(lock):
            return replace(lock, root=lock.root[len(self._root) :] or "/")
        # RFC 4918, section 15.8: a server may withhold what the principal is not to see.
        return replace(lock, token="", root="/", owner="", principal="")
