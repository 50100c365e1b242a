"""A file tree in a dictionary: what every ``FileTree`` must behave like.

The state machine compares real trees with it, and doors are developed against it. It keeps
everything in memory under one lock, so each operation is atomic by construction. Where the
interface leaves a choice, the choice made here is the one all trees share:

- a folder is reached by identity: a writer begun in a folder that was renamed meanwhile commits
  into it under its new name; into one that was deleted it raises NoSuchParent
- an overwrite keeps name, creation time and dead properties; a copy or move onto a file or folder
  replaces it as a whole, name included
- a copy keeps content type, dead properties and the file's mtime, and has an etag of its own
- a guard is asked before AlreadyExists is raised, and after every other error
- a move onto another form of its own name changes the name shown: the guard is asked about None,
  the answer is True, ``overwrite`` does not matter; onto its very own name, and a copy onto its own
  entry in any form, it raises IntoItself
- the root holds no properties, and the time of a folder cannot be set
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import groupby
from unicodedata import ucd_3_2_0

from bridge.files.api import ROOT, Buffer, Entry, Guard, Usage, no_guard
from bridge.files.content import stored_size
from bridge.files.errors import (
    AlreadyExists,
    ContentChanged,
    IntoItself,
    IsDirectory,
    NoSuchFile,
    NoSuchParent,
    NotDirectory,
    PropertiesTooLarge,
    RootRefused,
)
from bridge.files.path import Path
from bridge.store.closing import Closing

SHOWN_LIMIT = 1_000
"""Bytes of properties from which an entry shows None, as a record that has spilled does."""

PROPERTIES_LIMIT = 64 * 1024
"""Most bytes of properties, names and values together, that one resource may hold."""


def normalized(name: str) -> str:
    """The form under which a name is found: NFC by the tables of Unicode 3.2.

    What that version had not assigned neither composes nor decomposes. ``ucd_3_2_0`` by itself
    composes such characters by its Python's own tables, so that what one Python writes the next
    might not find: they are kept out of it.
    """
    runs = groupby(name, key=lambda character: ucd_3_2_0.category(character) == "Cn")
    return "".join(
        text if unassigned else ucd_3_2_0.normalize("NFC", text)
        for unassigned, text in ((which, "".join(run)) for which, run in runs)
    )


@dataclass(slots=True, eq=False)
class _File:
    name: str
    created: float
    content: bytes
    mtime: float
    etag: str
    content_type: str
    properties: dict[str, str] = field(default_factory=dict)

    def entry(self) -> Entry:
        return Entry(
            name=self.name,
            is_directory=False,
            size=len(self.content),
            mtime=self.mtime,
            created=self.created,
            etag=self.etag,
            content_type=self.content_type,
            properties=_shown(self.properties),
        )


@dataclass(slots=True, eq=False)
class _Folder:
    name: str
    created: float
    mtime: int
    properties: dict[str, str] = field(default_factory=dict)
    children: dict[str, _File | _Folder] = field(default_factory=dict)
    parent: _Folder | None = None
    """The folder it hangs in; None for the root and for one that was removed."""

    def entry(self) -> Entry:
        return Entry(
            name=self.name,
            is_directory=True,
            mtime=float(self.mtime),
            created=self.created,
            properties=_shown(self.properties),
        )


_Node = _File | _Folder


def _shown(properties: Mapping[str, str]) -> Mapping[str, str] | None:
    return dict(properties) if _weight(properties) <= SHOWN_LIMIT else None


def _weight(properties: Mapping[str, str]) -> int:
    return sum(len(name.encode()) + len(value.encode()) for name, value in properties.items())


def _etag() -> str:
    return secrets.token_hex(16) + "-1"


class ModelReader(Closing):
    """A ``Reader`` of bytes that were taken when it was opened."""

    def __init__(self, entry: Entry, content: bytes) -> None:
        self.entry = entry
        self._content = memoryview(content)

    def read(self, size: int) -> Buffer:
        """See ``Reader``."""
        block = bytes(self._content[:size])
        self._content = self._content[len(block) :]
        return block

    def close(self) -> None:
        """See ``Reader``."""


class ModelWriter:
    """A ``Writer`` that gathers the content and hands it to the tree at the end."""

    def __init__(self, publish: Callable[[bytes, Guard], tuple[Entry, bool]]) -> None:
        self._publish = publish
        self._content: bytearray | None = bytearray()

    def write(self, data: Buffer) -> None:
        """See ``Writer``."""
        if self._content is None:
            raise ValueError("the writer was committed or aborted")
        self._content += data

    def commit(self, guard: Guard = no_guard) -> tuple[Entry, bool]:
        """See ``Writer``. A writer whose commit failed is over, as one that succeeded."""
        if self._content is None:
            raise ValueError("the writer was committed or aborted")
        content, self._content = bytes(self._content), None
        return self._publish(content, guard)

    def abort(self) -> None:
        """See ``Writer``."""
        self._content = None


class ModelTree:
    """A ``FileTree`` in memory. ``clock`` gives Unix seconds."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        now = clock()
        self._root = _Folder(name="", created=now, mtime=int(now))

    def stat(self, path: Path) -> Entry:
        """See ``FileTree``."""
        with self._lock:
            return self._find(path).entry()

    def list(self, path: Path) -> Iterator[Entry]:
        """See ``FileTree``."""
        with self._lock:
            node = self._find(path)
            if isinstance(node, _File):
                raise NotDirectory(f"{path} is a file")
            return iter([child.entry() for child in node.children.values()])

    def open(
        self, path: Path, offset: int = 0, length: int | None = None, *, etag: str | None = None
    ) -> ModelReader:
        """See ``FileTree``."""
        with self._lock:
            node = self._find(path)
            if isinstance(node, _Folder):
                raise IsDirectory(f"{path} is a folder")
            if etag is not None and etag != node.etag:
                raise ContentChanged(f"{path} is no longer {etag}")
            end = None if length is None else offset + length
            return ModelReader(node.entry(), node.content[offset:end])

    def create(
        self,
        path: Path,
        *,
        size: int | None = None,  # memory needs no promise
        content_type: str = "",
        mtime: float | None = None,
    ) -> ModelWriter:
        """See ``FileTree``."""
        with self._lock:
            folder, old = self._place(path)
            if isinstance(old, _Folder):
                raise IsDirectory(f"{path} is a folder")

        def publish(content: bytes, guard: Guard) -> tuple[Entry, bool]:
            with self._lock:
                if not self._attached(folder):
                    raise NoSuchParent(f"the folder of {path} was deleted meanwhile")
                old = folder.children.get(normalized(path.name))
                if isinstance(old, _Folder):
                    raise IsDirectory(f"{path} is a folder")
                guard(old.entry() if old else None)
                now = self._clock()
                new = _File(
                    name=old.name if old else path.name,
                    created=old.created if old else now,
                    content=content,
                    mtime=now if mtime is None else mtime,
                    etag=_etag(),
                    content_type=content_type,
                    properties=dict(old.properties) if old else {},
                )
                self._put(folder, new)
                return new.entry(), old is None

        return ModelWriter(publish)

    def mkdir(self, path: Path, guard: Guard = no_guard) -> Entry:
        """See ``FileTree``."""
        with self._lock:
            if path.is_root:
                raise AlreadyExists("the root is always there")
            folder, old = self._place(path)
            guard(old.entry() if old else None)
            if old:
                raise AlreadyExists(f"{path} is there already")
            now = self._clock()
            new = _Folder(name=path.name, created=now, mtime=int(now))
            self._put(folder, new)
            return new.entry()

    def delete(self, path: Path, guard: Guard = no_guard) -> None:
        """See ``FileTree``."""
        with self._lock:
            if path.is_root:
                raise RootRefused("the root cannot be deleted")
            node = self._find(path)
            guard(node.entry())
            self._take(self._folder(path.parent), node)

    def move(self, src: Path, dst: Path, *, overwrite: bool, guard: Guard = no_guard) -> bool:
        """See ``FileTree``."""
        with self._lock:
            node, folder, old = self._transfer(src, dst, may_be_same=src.name != dst.name)
            if old is node:
                old = None
            self._ask(guard, dst, old, overwrite=overwrite)
            self._take(self._folder(src.parent), node)
            if old:
                self._take(folder, old)
            node.name = dst.name
            self._put(folder, node)
            return old is None

    def copy(
        self,
        src: Path,
        dst: Path,
        *,
        overwrite: bool,
        recursive: bool = True,
        guard: Guard = no_guard,
    ) -> bool:
        """See ``FileTree``."""
        with self._lock:
            node, folder, old = self._transfer(src, dst, may_be_same=False)
            self._ask(guard, dst, old, overwrite=overwrite)
            new = self._copied(node, recursive=recursive)
            new.name = dst.name
            if old:
                self._take(folder, old)
            self._put(folder, new)
            return old is None

    def set_properties(
        self,
        path: Path,
        *,
        set: Mapping[str, str] = {},  # noqa: A002 - RFC 4918's own word
        remove: frozenset[str] = frozenset(),
        mtime: float | None = None,
        guard: Guard = no_guard,
    ) -> Entry:
        """See ``FileTree``."""
        with self._lock:
            if path.is_root:
                raise RootRefused("the root holds no properties")
            node = self._find(path)
            if mtime is not None and isinstance(node, _Folder):
                raise IsDirectory("the time of a folder follows its children")
            properties = {
                name: value for name, value in node.properties.items() if name not in remove
            }
            properties.update(set)
            if _weight(properties) > PROPERTIES_LIMIT:
                raise PropertiesTooLarge(f"over {PROPERTIES_LIMIT} bytes of properties at {path}")
            guard(node.entry())
            node.properties = properties
            if mtime is not None and isinstance(node, _File):
                node.mtime = mtime
            self._touch(self._folder(path.parent))
            return node.entry()

    def properties(self, path: Path) -> Mapping[str, str]:
        """See ``FileTree``."""
        with self._lock:
            return dict(self._find(path).properties)

    def usage(self, path: Path = ROOT) -> Usage:
        """See ``FileTree``."""
        with self._lock:
            top = self._find(path)
            files = [top] if isinstance(top, _File) else self._walk(top)
            sizes = [len(node.content) for node in files]
            return Usage(sum(sizes), len(sizes), sum(map(stored_size, sizes)))

    def clone(self) -> ModelTree:
        """Another tree with the same files, to try a change on."""
        with self._lock:
            other = ModelTree(self._clock)
            other._root = deepcopy(self._root)
            return other

    def _find(self, path: Path) -> _Node:
        node: _Node | None = self._root
        for name in path.names:
            node = node.children.get(normalized(name)) if isinstance(node, _Folder) else None
            if node is None:
                raise NoSuchFile(f"nothing is at {path}")
        assert node is not None
        return node

    def _folder(self, path: Path) -> _Folder:
        try:
            node = self._find(path)
        except NoSuchFile:
            raise NoSuchParent(f"there is no folder {path}") from None
        if isinstance(node, _File):
            raise NoSuchParent(f"{path} is a file")
        return node

    def _place(self, path: Path) -> tuple[_Folder, _Node | None]:
        """The folder that ``path`` lies in, and what is at ``path``."""
        if path.is_root:
            raise RootRefused("the root cannot be replaced")
        folder = self._folder(path.parent)
        return folder, folder.children.get(normalized(path.name))

    def _transfer(
        self, src: Path, dst: Path, *, may_be_same: bool
    ) -> tuple[_Node, _Folder, _Node | None]:
        """What is moved or copied, the folder it goes to, and what is there."""
        if src.is_root or dst.is_root:
            raise RootRefused("the root cannot be moved, copied or replaced")
        node = self._find(src)
        ours, theirs = (tuple(map(normalized, path.names)) for path in (src, dst))
        if ours == theirs and may_be_same:
            return node, self._folder(dst.parent), node
        if ours == theirs[: len(ours)] and (ours == theirs or isinstance(node, _Folder)):
            raise IntoItself(f"{src} cannot go into itself, to {dst}")
        if theirs == ours[: len(theirs)]:
            raise IntoItself(f"{src} cannot replace {dst}, which holds it")
        return (node, *self._place(dst))

    def _ask(self, guard: Guard, dst: Path, old: _Node | None, *, overwrite: bool) -> None:
        guard(old.entry() if old else None)
        if old and not overwrite:
            raise AlreadyExists(f"{dst} is there already")

    def _attached(self, folder: _Folder) -> bool:
        while folder.parent:
            folder = folder.parent
        return folder is self._root

    def _touch(self, folder: _Folder) -> None:
        folder.mtime = max(int(self._clock()), folder.mtime + 1)

    def _put(self, folder: _Folder, node: _Node) -> None:
        folder.children[normalized(node.name)] = node
        if isinstance(node, _Folder):
            node.parent = folder
        self._touch(folder)

    def _take(self, folder: _Folder, node: _Node) -> None:
        del folder.children[normalized(node.name)]
        if isinstance(node, _Folder):
            node.parent = None
        self._touch(folder)

    def _copied(self, node: _Node, *, recursive: bool) -> _Node:
        now = self._clock()
        if isinstance(node, _File):
            return _File(
                name=node.name,
                created=now,
                content=node.content,
                mtime=node.mtime,
                etag=_etag(),
                content_type=node.content_type,
                properties=dict(node.properties),
            )
        new = _Folder(name=node.name, created=now, mtime=int(now), properties=dict(node.properties))
        for key, child in node.children.items() if recursive else ():
            copied = self._copied(child, recursive=True)
            new.children[key] = copied
            if isinstance(copied, _Folder):
                copied.parent = new
        return new

    def _walk(self, folder: _Folder) -> Iterator[_File]:
        for child in folder.children.values():
            if isinstance(child, _File):
                yield child
            else:
                yield from self._walk(child)
