"""The directories that hold objects: made durably when needed, removed when empty.

A directory may vanish between two system calls, because another thread or process has just
emptied it, and whoever finds that makes it again. Whoever writes into one must know that the
entries of all directories above are on the disk; seeing a directory does not say so, because
another process may have made it a moment ago. So the first write into a directory syncs
the chain above it, and keeps it open: a directory held open can be removed but never be
confused with a new one of the same name, since nothing can be created in it any more.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

from bridge.store.api import Unavailable
from bridge.store.local.disk import Disk, Handle

ATTEMPTS = 1000
"""How often a write begins anew because its directory has just been removed."""

_KEPT_OPEN = 128
"""Directories held open at once; a process may have 1024 files open."""

_PATH = 1000
"""Longest path handed to the system at once: macOS allows 1024, Linux 4096."""

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Directories:
    """Directories below ``root``, each named by its path from there, ``""`` for the root itself."""

    def __init__(self, disk: Disk, root: Handle) -> None:
        self._disk = disk
        self._root = root
        self._lock = threading.Lock()
        self._durable: OrderedDict[str, Handle] = OrderedDict()

    def hold(self, path: str) -> Handle:
        """The directory, made if need be, its place on the disk certain; acquired already.

        Where creating something in it raises FileNotFoundError, ``forget`` it and begin anew.
        """
        if not path:
            return self._root.acquire()
        for _ in range(ATTEMPTS):
            held = self._kept(path)
            if held is not None:
                return held
            with contextlib.suppress(FileNotFoundError):
                return self._make(path)
        raise Unavailable(f"the directory {path} is removed again and again")

    def forget(self, path: str) -> None:
        """Do not take for granted any more that the directory is there."""
        with self._lock:
            handle = self._durable.pop(path, None)
        if handle is not None:
            handle.close()

    @contextmanager
    def find(self, path: str) -> Iterator[int]:
        """The directory as it is now. Raises FileNotFoundError."""
        with self._root.acquire() as fd:
            opened = -1
            try:
                for piece in _walkable(path):
                    step = os.open(piece, _OPEN, dir_fd=fd if opened < 0 else opened)
                    if opened >= 0:
                        os.close(opened)
                    opened = step
                yield fd if opened < 0 else opened
            finally:
                if opened >= 0:
                    os.close(opened)

    def open(self, path: str, name: str, flags: int) -> int:
        """Open the file ``name`` in the directory. Raises FileNotFoundError."""
        if len(path) + len(name) < _PATH:
            with self._root.acquire() as fd:
                return open_file(self._disk, f"{path}/{name}" if path else name, flags, fd)
        with self.find(path) as fd:
            return open_file(self._disk, name, flags, fd)

    def prune(self, path: str) -> None:
        """Remove the directory if it is empty, then the one above, and so on."""
        while path:
            above, _, name = path.rpartition("/")
            try:
                if len(path) < _PATH:
                    with self._root.acquire() as fd:
                        self._disk.rmdir(path, fd)
                else:
                    with self.find(above) as fd:
                        self._disk.rmdir(name, fd)
            except OSError:
                return  # not empty, or already gone; an empty one left behind harms nobody
            self.forget(path)
            path = above

    def close(self) -> None:
        """Let all directories go."""
        with self._lock:
            handles = [*self._durable.values(), self._root]
            self._durable.clear()
        for handle in handles:
            handle.close()

    def _kept(self, path: str) -> Handle | None:
        with self._lock:
            handle = self._durable.get(path)
            if handle is None:
                return None
            self._durable.move_to_end(path)
            return handle.acquire()  # before anybody can evict and close it

    def _make(self, path: str) -> Handle:
        """Go down from the root, making what is missing and syncing what is not yet certain."""
        held = self._root.acquire()
        at = ""
        for name in path.split("/"):
            above, at = at, f"{at}/{name}" if at else name
            below = self._kept(at)
            with held as fd:
                if below is None:
                    try:
                        below = self._enter(fd, name, at)
                    except FileNotFoundError:
                        self.forget(above)
                        raise
            held = below
        return held

    def _enter(self, above: int, name: str, path: str) -> Handle:
        try:
            fd = os.open(name, _OPEN, dir_fd=above)
        except FileNotFoundError:
            with contextlib.suppress(FileExistsError):
                self._disk.mkdir(name, above)
            fd = os.open(name, _OPEN, dir_fd=above)
        handle = Handle(fd).acquire()
        try:
            self._disk.sync(above)
        except OSError:
            handle.close()
            with handle:
                raise
        self._keep(path, handle)
        return handle

    def _keep(self, path: str, handle: Handle) -> None:
        with self._lock:
            dropped = [self._durable.pop(path, None)]
            self._durable[path] = handle
            if len(self._durable) > _KEPT_OPEN:
                dropped.append(self._durable.popitem(last=False)[1])
        for old in dropped:
            if old is not None:
                old.close()


def open_file(disk: Disk, path: str, flags: int, dir_fd: int) -> int:
    """Open what should be a file, waiting for nothing whatever it is; the caller looks what it is.

    A pipe that somebody put there would else hold a thread for ever. What cannot be opened at all,
    a link or a socket, is given as a descriptor that nothing can be read from.
    """
    try:
        return disk.open(path, flags | os.O_NONBLOCK, dir_fd)
    except OSError as error:
        if sys.platform == "linux" and error.errno in {errno.ELOOP, errno.ENXIO}:
            return disk.open(path, os.O_PATH, dir_fd)
        raise


def _walkable(path: str) -> Iterator[str]:
    """``path`` in pieces short enough for a system call."""
    while len(path) >= _PATH:
        cut = path.rindex("/", 0, _PATH)
        yield path[:cut]
        path = path[cut + 1 :]
    if path:
        yield path


def make_root(path: str, disk: Disk) -> int:
    """Open the directory ``path``, made durably with all above it if it is missing."""
    missing = []
    while not os.path.isdir(path):
        missing.append(path)
        path = os.path.dirname(path) or "."
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for step in reversed(missing):
        below = make_directory(os.path.basename(step), fd, disk)
        os.close(fd)
        fd = below
    return fd


def make_directory(name: str, above: int, disk: Disk) -> int:
    """Open the directory ``name`` in ``above``, made durably if it is missing."""
    with contextlib.suppress(FileExistsError):
        disk.mkdir(name, above)
    disk.sync(above)
    return os.open(name, _OPEN, dir_fd=above)
