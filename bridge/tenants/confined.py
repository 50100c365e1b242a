"""What a credential may do with its tenant's tree, and the folder that is all it sees of it.

``ConfinedTree`` and ``ConfinedLocks`` stand between a door and what the tenant has. A credential's
path is mapped to the tenant's in one place, and nothing of the tenant's paths comes back: an error
from below is raised anew with words of its own. Storj holds a credential to its rights too, but not
to its folder, since the keys of what lies in a folder share no prefix: only this module does that.

No method goes on to the tree before the rights to all that it may have to do are there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from bridge.files import errors
from bridge.files.api import ROOT, Entry, FileTree, Guard, Reader, Usage, Writer, no_guard
from bridge.files.path import DEPTH_LIMIT, Path
from bridge.state.api import Lock, LockConflict, Locks
from bridge.tenants.api import Right
from bridge.tenants.discreet import DiscreetReader, DiscreetWriter, discreet

_P = ParamSpec("_P")
_R = TypeVar("_R")

_RIGHTS = {
    Right.READ: "read",
    Right.WRITE: "write",
    Right.LIST: "list folders",
    Right.DELETE: "delete or replace",
}


def folder_path(root: str) -> Path:
    """The path of a credential's root folder, which is kept as text: ``/`` or ``/a/b``."""
    return Path.from_kept(root)


def require(rights: Right, *needed: Right) -> None:
    """Raise NotAllowed unless all that is ``needed`` is among ``rights``."""
    for right in needed:
        if right not in rights:
            raise errors.NotAllowed(f"this credential may not {_RIGHTS[right]}")


def _as_seen(
    method: Callable[Concatenate[ConfinedTree, _P], _R],
) -> Callable[Concatenate[ConfinedTree, _P], _R]:
    """Let no error of the tree below tell where the root lies."""

    @wraps(method)
    def call(tree: ConfinedTree, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        with discreet(tree.root):
            return method(tree, *args, **kwargs)

    return call


class ConfinedTree:
    """The part of ``tree`` at and below ``root``, by ``rights``: a ``FileTree`` of its own.

    Its root can be neither deleted, moved nor replaced, and shows neither name nor properties. When
    somebody else has removed it, or put a file there, it is NoSuchFile until a folder is there.
    """

    def __init__(self, tree: FileTree, rights: Right, root: Path = ROOT) -> None:
        self.root = root
        self.rights = rights
        self._tree = tree

    @_as_seen
    def stat(self, path: Path) -> Entry:
        """See ``FileTree.stat``. Needs any right at all; properties are shown as by theirs."""
        if not self.rights:
            raise errors.NotAllowed("this credential may do nothing")
        entry = self._folder() if path.is_root else self._tree.stat(self._below(path))
        return entry if self._sees_properties else replace(entry, properties={})

    @_as_seen
    def list(self, path: Path) -> Iterator[Entry]:
        """See ``FileTree.list``. Needs LIST."""
        require(self.rights, Right.LIST)
        self._require_root(path)
        entries = self._tree.list(self._below(path))
        return entries if self.root.is_root else self._listed(entries)

    @_as_seen
    def open(
        self, path: Path, offset: int = 0, length: int | None = None, *, etag: str | None = None
    ) -> Reader:
        """See ``FileTree.open``. Needs READ."""
        require(self.rights, Right.READ)
        self._require_root(path)
        if path.is_root:
            raise errors.IsDirectory("the root is a folder")
        reader = self._tree.open(self._below(path), offset, length, etag=etag)
        return reader if self.root.is_root else DiscreetReader(reader, self.root)

    @_as_seen
    def create(
        self,
        path: Path,
        *,
        size: int | None = None,
        content_type: str = "",
        mtime: float | None = None,
    ) -> Writer:
        """See ``FileTree.create``. Needs WRITE, and DELETE where a file is replaced."""
        require(self.rights, Right.WRITE)
        if path.is_root:
            raise errors.RootRefused("the root cannot be replaced by a file")
        full = self._below(path)
        self._require_free(full)
        writer = self._tree.create(full, size=size, content_type=content_type, mtime=mtime)
        return DiscreetWriter(writer, self.root, self._guarded)

    @_as_seen
    def mkdir(self, path: Path, guard: Guard = no_guard) -> Entry:
        """See ``FileTree.mkdir``. Needs WRITE."""
        require(self.rights, Right.WRITE)
        if path.is_root:
            try:
                self._require_root(path)
            except errors.NoSuchFile as error:
                raise errors.NoSuchParent("the root is no more") from error
            raise errors.AlreadyExists("the root is there already")
        return self._tree.mkdir(self._below(path), guard)

    @_as_seen
    def delete(self, path: Path, guard: Guard = no_guard) -> None:
        """See ``FileTree.delete``. Needs DELETE."""
        require(self.rights, Right.DELETE)
        self._refuse_root(path)
        self._tree.delete(self._below(path), guard)

    @_as_seen
    def move(self, src: Path, dst: Path, *, overwrite: bool, guard: Guard = no_guard) -> bool:
        """See ``FileTree.move``. Needs READ, WRITE and DELETE."""
        require(self.rights, Right.READ, Right.WRITE, Right.DELETE)
        self._refuse_root(src, dst)
        return self._tree.move(self._below(src), self._below(dst), overwrite=overwrite, guard=guard)

    @_as_seen
    def copy(
        self,
        src: Path,
        dst: Path,
        *,
        overwrite: bool,
        recursive: bool = True,
        guard: Guard = no_guard,
    ) -> bool:
        """See ``FileTree.copy``. Needs READ and WRITE, and DELETE where something is replaced."""
        require(self.rights, Right.READ, Right.WRITE)
        self._refuse_root(src, dst)
        here, there = self._below(src), self._below(dst)
        if overwrite:
            self._require_free(there)
            guard = self._guarded(guard)
        return self._tree.copy(here, there, overwrite=overwrite, recursive=recursive, guard=guard)

    @_as_seen
    def set_properties(
        self,
        path: Path,
        *,
        set: Mapping[str, str] = {},  # noqa: A002 - RFC 4918's own word
        remove: frozenset[str] = frozenset(),
        mtime: float | None = None,
        guard: Guard = no_guard,
    ) -> Entry:
        """See ``FileTree.set_properties``. Needs WRITE, and READ or LIST, as Storj asks for it."""
        require(self.rights, Right.WRITE)
        self._require_properties()
        self._refuse_root(path)
        return self._tree.set_properties(
            self._below(path), set=set, remove=remove, mtime=mtime, guard=guard
        )

    @_as_seen
    def properties(self, path: Path) -> Mapping[str, str]:
        """See ``FileTree.properties``. Needs READ or LIST."""
        self._require_properties()
        self._require_root(path)
        return {} if path.is_root else self._tree.properties(self._below(path))

    @_as_seen
    def usage(self, path: Path = ROOT) -> Usage:
        """See ``FileTree.usage``. Needs LIST."""
        require(self.rights, Right.LIST)
        self._require_root(path)
        return self._tree.usage(self._below(path))

    def _guarded(self, guard: Guard) -> Guard:
        """``guard``, and at the same moment: whoever may not delete replaces nothing."""

        def both(entry: Entry | None) -> None:
            guard(entry)
            if entry is not None:
                require(self.rights, Right.DELETE)

        return both

    def _require_properties(self) -> None:
        if not self._sees_properties:
            raise errors.NotAllowed("this credential may neither read nor list")

    @property
    def _sees_properties(self) -> bool:
        return bool(self.rights & (Right.READ | Right.LIST))

    def _below(self, path: Path) -> Path:
        """The tenant's path of one of the credential's: the only place where one is made."""
        names = self.root.names + path.names
        if len(names) > DEPTH_LIMIT:
            raise errors.InvalidPath("the path is too deep")
        return Path(names)

    def _folder(self) -> Entry:
        """The root as the credential sees it. Raises NoSuchFile unless a folder is there."""
        entry = self._tree.stat(self.root)
        if not entry.is_directory:
            raise errors.NoSuchFile("the root is no more")
        return entry if self.root.is_root else Entry("", is_directory=True, mtime=entry.mtime)

    def _require_root(self, path: Path) -> None:
        """Where ``path`` is the root: raise NoSuchFile unless that is there."""
        if path.is_root and not self.root.is_root:
            self._folder()

    def _refuse_root(self, *paths: Path) -> None:
        """Raise RootRefused where one of them is the root, NoSuchFile when that is no more."""
        for path in paths:
            self._require_root(path)
            if path.is_root:
                raise errors.RootRefused("the root cannot be changed, moved, copied or replaced")

    def _require_free(self, full: Path) -> None:
        """Whoever may not delete is told before a body comes; the guard asks again."""
        if Right.DELETE in self.rights:
            return
        try:
            self._tree.stat(full)
        except errors.NoSuchFile:
            return
        require(self.rights, Right.DELETE)

    def _listed(self, entries: Iterator[Entry]) -> Iterator[Entry]:
        with discreet(self.root):
            yield from entries


class ConfinedLocks:
    """The part of ``locks`` at and below ``root``: ``Locks`` of its own. Changing them needs WRITE.

    They are kept by the tenant's paths, so that its credentials meet each other's. A lock of a
    folder above is one of the root, whose token and owner are not told; of others beside the root
    nothing is known.
    """

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
