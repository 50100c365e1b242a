"""Listing: a walk through the directories in the order of the names written in them.

Of each directory only some names are held at once, and it is read again where there are more.
Its order is that of the paths, name by name, so a cursor is a key's path, to be passed by.
"""

from __future__ import annotations

import contextlib
import heapq
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice, takewhile

from bridge.store import deadline
from bridge.store.api import ObjectInfo
from bridge.store.local.directories import Directories, open_file
from bridge.store.local.disk import Disk
from bridge.store.local.files import describe
from bridge.store.local.layout import (
    CONTINUED,
    DIRECTORY,
    OBJECT,
    component_of,
    directory_of,
    place_of,
)

_NAMES = 100_000
"""Most names of one directory in memory; about 150 bytes each."""

_RUN = 64
"""Objects whose files are read ahead of the one who reads the listing."""


@dataclass(slots=True)
class _Level:
    """A directory on the way: its path, what its keys begin with, and how far the walk is.

    ``written`` is the part of a component's name that the continued directories above hold.
    ``cursor`` is the path of the key to be passed by, from this directory on, or empty.
    """

    path: str
    prefix: str
    written: str
    cursor: list[str]
    names: Iterator[str]


class Listing:
    """The walks through the objects in ``directories``."""

    def __init__(self, disk: Disk, directories: Directories) -> None:
        self._disk = disk
        self._directories = directories

    def walk(self, prefix: str, cursor: str | None, *, recursive: bool) -> Iterator[ObjectInfo]:
        """See ``ObjectStore.list``. Raises OSError."""
        start = directory_of(prefix[:-1])
        after: list[str] = []
        if cursor is not None:
            passed = _path_of(cursor)
            top = start.split("/") if start else []
            if passed[: len(top)] == top:
                after = passed[len(top) :]
            elif passed > top:
                return
        levels = [self._enter(start, prefix, "", after)]
        while levels:
            level = levels[-1]
            name = next(level.names, None)
            if name is None:
                levels.pop()
                continue
            on_way = bool(level.cursor) and name == level.cursor[0]
            path = f"{level.path}/{name}" if level.path else name
            written = level.written + name[:-2]
            if name.endswith(CONTINUED):
                after = level.cursor[1:] if on_way else []
                levels.append(self._enter(path, level.prefix, written, after))
                continue
            if name.endswith(OBJECT):
                # A run of objects at once: opening their directory costs more than a file.
                names = [name, *islice(level.names, _RUN - 1)]
                run = list(takewhile(_is_object, names))
                level.names = chain(names[len(run) :], level.names)
                yield from self._describe(level, run)
                continue
            component = component_of(written)
            if component is None:
                continue  # not written by a store
            key = level.prefix + component
            if recursive:
                after = level.cursor[1:] if on_way else []
                levels.append(self._enter(path, f"{key}/", "", after))
            elif not on_way and self._holds_objects(path):
                yield ObjectInfo(f"{key}/", is_prefix=True)

    def _enter(self, path: str, prefix: str, written: str, cursor: list[str]) -> _Level:
        return _Level(path, prefix, written, cursor, self._names(path, cursor))

    def _names(self, path: str, cursor: list[str]) -> Iterator[str]:
        """The names in a directory after ``cursor``, or from it on where it lies deeper."""
        last = cursor[0] if len(cursor) == 1 else ""
        first = cursor[0] if len(cursor) > 1 else ""
        while True:
            try:
                with self._directories.find(path) as fd, os.scandir(fd) as entries:
                    found = (
                        entry.name
                        for entry in entries
                        if entry.name > last
                        and entry.name >= first
                        and entry.name.endswith((OBJECT, DIRECTORY, CONTINUED))
                    )
                    names = list(islice(found, _NAMES + 1))
                    more = len(names) > _NAMES
                    if more:
                        names = heapq.nsmallest(_NAMES, chain(names, found))
            except FileNotFoundError:
                return
            names.sort()
            yield from names
            if not more:
                return
            last = names[-1]

    def _describe(self, level: _Level, names: Sequence[str]) -> Sequence[ObjectInfo]:
        deadline.check(level.prefix)
        found = []
        with contextlib.suppress(FileNotFoundError), self._directories.find(level.path) as above:
            for name in names:
                component = component_of(level.written + name[: -len(OBJECT)])
                if component is None:
                    continue  # not written by a store
                try:
                    fd = open_file(self._disk, name, os.O_RDONLY, above)
                except FileNotFoundError:
                    continue  # deleted since its directory was read
                try:
                    found.append(describe(fd, level.prefix + component))
                finally:
                    os.close(fd)
        return found

    def _holds_objects(self, path: str) -> bool:
        """Whether there is an object anywhere below; a power cut may leave empty directories."""
        below = [path]
        while below:
            path = below.pop()
            for name in self._names(path, []):
                if name.endswith(OBJECT):
                    return True
                below.append(f"{path}/{name}")
        return False


def _path_of(cursor: str) -> list[str]:
    """The path of a key, or of a common prefix, that a listing gave."""
    if cursor.endswith("/"):
        return directory_of(cursor[:-1]).split("/")
    directory, name = place_of(cursor)
    return [*directory.split("/"), name] if directory else [name]


def _is_object(name: str) -> bool:
    return name.endswith(OBJECT)
