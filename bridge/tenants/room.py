"""Room under a quota for what is about to lie at one path."""

from __future__ import annotations

from bridge.files.api import Entry, FileTree
from bridge.files.errors import NoSuchFile, StorageFull
from bridge.files.path import Path
from bridge.tenants.usage import Ledger


class Room:
    """What is reserved for the content that is to be at ``path``.

    Where the whole of it has no room, what it replaces is looked for, and counts as free.
    """

    def __init__(self, tree: FileTree, ledger: Ledger, path: Path) -> None:
        self._tree = tree
        self._reserved = ledger.reserve()
        self._path = path
        self._replaced: int | None = None
        self.settle = self._reserved.settle
        self.release = self._reserved.release

    def require(self, size: int) -> None:
        """Raise StorageFull unless ``size`` bytes, in all, have room."""
        try:
            self._reserved.require(size - (self._replaced or 0))
        except StorageFull:
            if self._replaced is not None:
                raise
            self._replaced = self._look()
            self._reserved.require(size - self._replaced)

    def require_at_last(self, size: int, old: Entry | None) -> None:
        """As ``require``, knowing what is replaced."""
        self._replaced = _size(old)
        self.require(size)

    def _look(self) -> int:
        try:
            return _size(self._tree.stat(self._path))
        except NoSuchFile:
            return 0


def _size(entry: Entry | None) -> int:
    return 0 if entry is None or entry.is_directory else entry.size
