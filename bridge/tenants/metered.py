"""A tree whose changes and transfers are noted in its tenant's ledger, and held to the quota.

What a change adds is reserved before it begins where its size is known, else as it grows, and asked
once more in the guard, when it is certain what is replaced: there the quota cannot be raced past
by requests of this process.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bridge.files.api import (
    ROOT,
    Buffer,
    Entry,
    FileTree,
    Guard,
    Reader,
    Usage,
    Writer,
    no_guard,
)
from bridge.files.content import stored_size
from bridge.files.errors import Busy, FileError, StorageUnavailable
from bridge.files.path import Path
from bridge.tenants.passing import PassingReader
from bridge.tenants.room import Room
from bridge.tenants.usage import Change, Ledger

_MOST_FOLDERS = 20
_MOST_ENTRIES = 2_000
"""Looked up of a folder before it is deleted. A larger one makes room when all is counted."""

_UNCERTAIN = (Busy, StorageUnavailable)
"""After these nobody knows whether the change was made."""


class MeteredTree:
    """A ``FileTree`` that passes every call on to ``tree``. Raises StorageFull at the quota.

    Metadata takes no room by the quota; a folder's copy takes what is in the folder when it begins.
    """

    def __init__(self, tree: FileTree, ledger: Ledger) -> None:
        self._tree = tree
        self._ledger = ledger

    def stat(self, path: Path) -> Entry:
        """See ``FileTree.stat``."""
        return self._tree.stat(path)

    def list(self, path: Path) -> Iterator[Entry]:
        """See ``FileTree.list``."""
        return self._tree.list(path)

    def open(
        self, path: Path, offset: int = 0, length: int | None = None, *, etag: str | None = None
    ) -> Reader:
        """See ``FileTree.open``."""
        return _MeteredReader(self._tree.open(path, offset, length, etag=etag), self._ledger)

    def create(
        self,
        path: Path,
        *,
        size: int | None = None,
        content_type: str = "",
        mtime: float | None = None,
    ) -> Writer:
        """See ``FileTree.create``."""
        room = Room(self._tree, self._ledger, path)
        try:
            room.require(size or 0)
            writer = self._tree.create(path, size=size, content_type=content_type, mtime=mtime)
        except BaseException:
            room.release()
            raise
        return _MeteredWriter(writer, self._ledger, room, size or 0)

    def mkdir(self, path: Path, guard: Guard = no_guard) -> Entry:
        """See ``FileTree.mkdir``."""
        return self._tree.mkdir(path, guard)

    def delete(self, path: Path, guard: Guard = no_guard) -> None:
        """See ``FileTree.delete``."""
        inside = self._inside(path)
        replaced = _Replaced(guard)
        try:
            self._tree.delete(path, replaced.guard)
        except _UNCERTAIN:
            self._unsure(replaced)
            raise
        self._ledger.changed(self._gone(replaced.entry, inside))

    def move(self, src: Path, dst: Path, *, overwrite: bool, guard: Guard = no_guard) -> bool:
        """See ``FileTree.move``."""
        inside = self._inside(dst) if overwrite else Change()
        replaced = _Replaced(guard)
        try:
            free = self._tree.move(src, dst, overwrite=overwrite, guard=replaced.guard)
        except _UNCERTAIN:
            self._unsure(replaced)
            raise
        self._ledger.changed(self._gone(replaced.entry, inside))
        return free

    def copy(
        self,
        src: Path,
        dst: Path,
        *,
        overwrite: bool,
        recursive: bool = True,
        guard: Guard = no_guard,
    ) -> bool:
        """See ``FileTree.copy``."""
        room = Room(self._tree, self._ledger, dst)
        source = self._tree.stat(src)
        copied = self._measured(src, source, recursive=recursive)
        inside = self._inside(dst) if overwrite else Change()

        def with_room(old: Entry | None) -> None:
            nonlocal copied
            guard(old)
            if self._ledger.quota is not None and not source.is_directory:
                # Nobody else can change it now. Of a folder it would take too long to ask again.
                copied = _of_file(self._tree.stat(src).size)
            room.require_at_last(copied.bytes, old)

        replaced = _Replaced(with_room)
        try:
            if source.is_directory:
                room.require(copied.bytes)  # before all is copied in vain
            free = self._tree.copy(
                src, dst, overwrite=overwrite, recursive=recursive, guard=replaced.guard
            )
        except _UNCERTAIN:
            self._unsure(replaced)
            raise
        else:
            room.settle(copied.plus(self._gone(replaced.entry, inside)))
            if source.is_directory:
                # It may have changed meanwhile, or have joined a copy that another request began.
                self._ledger.changed_unseen()
            return free
        finally:
            room.release()

    def set_properties(
        self,
        path: Path,
        *,
        set: Mapping[str, str] = {},  # noqa: A002 - RFC 4918's own word
        remove: frozenset[str] = frozenset(),
        mtime: float | None = None,
        guard: Guard = no_guard,
    ) -> Entry:
        """See ``FileTree.set_properties``."""
        return self._tree.set_properties(path, set=set, remove=remove, mtime=mtime, guard=guard)

    def properties(self, path: Path) -> Mapping[str, str]:
        """See ``FileTree.properties``."""
        return self._tree.properties(path)

    def usage(self, path: Path = ROOT) -> Usage:
        """See ``FileTree.usage``."""
        return self._tree.usage(path)

    def _measured(self, path: Path, entry: Entry, *, recursive: bool) -> Change:
        if not entry.is_directory:
            return _of_file(entry.size)
        if not recursive:
            return Change()
        usage = self._tree.usage(path)
        return Change(usage.bytes, usage.stored, usage.files)

    def _inside(self, path: Path) -> Change:
        """What is in the folder at ``path``, where a quota waits for it and it is not too much."""
        if self._ledger.quota is None:
            return Change()
        inside, folders, count = Change(), [path], 0
        try:
            if not self._tree.stat(path).is_directory:
                return Change()
            for _ in range(_MOST_FOLDERS):
                folder = folders.pop()
                for entry in self._tree.list(folder):
                    count += 1
                    if count > _MOST_ENTRIES:
                        return Change()
                    if entry.is_directory:
                        folders.append(folder.child(entry.name))
                    else:
                        inside = inside.plus(_of_file(entry.size))
                if not folders:
                    return inside
        except FileError:
            pass  # whoever deletes need not be allowed to list, nor must what is there open
        return Change()

    def _gone(self, entry: Entry | None, inside: Change) -> Change:
        """What the tenant holds more without ``entry``, in which there was ``inside``."""
        if entry is None:
            return Change()
        if entry.is_directory or entry.damaged:
            # Somebody may have moved things in or out since they were looked up: to be counted.
            self._ledger.changed_unseen()
            return inside.minus() if entry.is_directory else Change()
        return _of_file(entry.size).minus()

    def _unsure(self, replaced: _Replaced) -> None:
        if replaced.asked:
            self._ledger.changed_unseen()


def _of_file(size: int) -> Change:
    return Change(size, stored_size(size), 1)


class _Replaced:
    """A guard that remembers what it was last asked about."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self.asked = False
        self.entry: Entry | None = None

    def guard(self, entry: Entry | None) -> None:
        """Ask, and only then remember."""
        self._guard(entry)
        self.asked = True
        self.entry = entry


class _MeteredReader(PassingReader):
    """A ``Reader`` whose bytes are noted as sent."""

    def __init__(self, inner: Reader, ledger: Ledger) -> None:
        super().__init__(inner)
        self._ledger = ledger

    def read(self, size: int) -> Buffer:
        """See ``Reader``."""
        data = super().read(size)
        self._ledger.moved(down=len(data))
        return data


class _MeteredWriter:
    """A ``Writer`` whose bytes have room, or none of them stays."""

    def __init__(self, inner: Writer, ledger: Ledger, room: Room, promised: int) -> None:
        self._inner = inner
        self._ledger = ledger
        self._room = room
        self._promised = promised
        self._size = 0

    def write(self, data: Buffer) -> None:
        """See ``Writer``. Raises StorageFull too."""
        self._ledger.moved(up=len(data))
        self._size += len(data)
        self._room.require(max(self._size, self._promised))
        self._inner.write(data)

    def commit(self, guard: Guard = no_guard) -> tuple[Entry, bool]:
        """See ``Writer``. Raises StorageFull too."""

        def with_room(old: Entry | None) -> None:
            guard(old)
            self._room.require_at_last(self._size, old)

        replaced = _Replaced(with_room)
        try:
            entry, free = self._inner.commit(replaced.guard)
            change = _of_file(entry.size)
            if replaced.entry is not None:
                change = change.plus(_of_file(replaced.entry.size).minus())
            self._room.settle(change)
        except _UNCERTAIN:
            if replaced.asked:
                self._ledger.changed_unseen()
            raise
        finally:
            self._room.release()
        return entry, free

    def abort(self) -> None:
        """See ``Writer``."""
        self._room.release()
        self._inner.abort()
