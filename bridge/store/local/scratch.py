"""Temporary files, which vanish with the process that made them.

Each open store has a directory of its own below ``tmp``, held by an flock that the kernel
releases however the process ends. Whoever opens the store next removes what nobody holds.
One lock file orders the openings, so that no directory is taken for dead before it is held.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from bridge.store.api import Unavailable
from bridge.store.local.directories import make_directory
from bridge.store.local.disk import Disk, Handle

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Scratch:
    """The temporary files of one open store. ``root`` is the store's own directory."""

    def __init__(self, disk: Disk, root: int) -> None:
        self._disk = disk
        self._numbers = itertools.count()
        self._name = secrets.token_hex(8)
        above = make_directory("tmp", root, disk)
        self._above = Handle(above)
        with _locked(disk, root):
            for name in os.listdir(above):
                _sweep(disk, above, name)
            disk.mkdir(self._name, above)
            fd = os.open(self._name, _OPEN, dir_fd=above)
            fcntl.flock(fd, fcntl.LOCK_EX)
        self._own = Handle(fd)

    def hold(self) -> Handle:
        """The directory of the temporary files, acquired. Raises Unavailable once closed."""
        return self._own.acquire()

    def name(self) -> str:
        """A name not used before."""
        return str(next(self._numbers))

    def create(self) -> tuple[str, int]:
        """A new file: its name, and a descriptor to write and read it."""
        name = self.name()
        with self._own.acquire() as fd:
            return name, self._disk.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, fd)

    def remove(self, name: str) -> None:
        """Remove a file, or a directory with the files in it; nothing stops this."""
        with contextlib.suppress(OSError, Unavailable), self._own.acquire() as fd:
            remove_tree(self._disk, fd, name)

    def close(self) -> None:
        """Remove all that is left."""
        with contextlib.suppress(OSError, Unavailable), self._above.acquire() as above:
            remove_tree(self._disk, above, self._name)
        self._own.close()
        self._above.close()


@contextmanager
def _locked(disk: Disk, root: int) -> Iterator[None]:
    fd = disk.open("lock", os.O_RDWR | os.O_CREAT, root)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _sweep(disk: Disk, above: int, name: str) -> None:
    """Remove the directory ``name`` unless a live store holds it."""
    with contextlib.suppress(OSError):
        fd = os.open(name, _OPEN, dir_fd=above)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove_tree(disk, above, name)
        finally:
            os.close(fd)


def remove_tree(disk: Disk, above: int, name: str) -> None:
    """Remove a file or a directory and what is in it; not durable, since it is swept anyway."""
    try:
        fd = os.open(name, _OPEN, dir_fd=above)
    except NotADirectoryError:
        disk.unlink(name, above)
        return
    try:
        for inner in os.listdir(fd):
            remove_tree(disk, fd, inner)
    finally:
        os.close(fd)
    disk.rmdir(name, above)
