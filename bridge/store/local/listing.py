"""Listing: a walk through the directories in the order of the names written in them.

Of each directory only some names are held at once, and it is read again where there are more.
Its order is that of the paths, name by name, so a cursor is a key's path, to be passed by.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice

from bridge.store import deadline
from bridge.store.api import ObjectInfo
from bridge.store.local.directories import Directories
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

    def __init__(self, directories: Directories) -> None:
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
            component = component_of(written)
            if component is None:
                continue  # not written by a store
            key = level.prefix + component
            if name.endswith(OBJECT):
                info = self._describe(level.path, name, key)
                if info is not None:
                    yield info
            elif recursive:
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

    def _describe(self, path: str, name: str, key: str) -> ObjectInfo | None:
        deadline.check(key)
        try:
            fd = self._directories.open(path, name, os.O_RDONLY)
        except FileNotFoundError:
            return None  # deleted since its directory was read
        try:
            return describe(fd, key)
        finally:
            os.close(fd)

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
