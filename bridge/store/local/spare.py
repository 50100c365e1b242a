"""A little room that is given up on a full disk, so that what frees more of it goes on.

A folder is deleted by moving its entry away first, and a directory may have to be made or to grow
for that. The file ``spare`` beside the objects holds room for such moves. It belongs to all who
have the store open: whoever needs it empties it, whoever finds it empty later fills it up.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from typing import TypeVar

from bridge.store.api import Unavailable
from bridge.store.local.disk import Disk, Handle

SIZE = 1 << 16
"""Bytes: some blocks of any file system, for directories."""

_NAME = "spare"
_FULL = {errno.ENOSPC, errno.EDQUOT}

T = TypeVar("T")


class Spare:
    """The file ``spare`` in the directory ``root``.

    It is opened only for a moment: a disk with a file open for writing cannot be made read-only.
    """

    def __init__(self, disk: Disk, root: int) -> None:
        self._disk = disk
        self._root = Handle(os.dup(root))
        self._missing = True
        self.check()

    def check(self) -> None:
        """See whether it is whole, since another process may have used it, and fill it up."""
        self._missing = self._size() < SIZE
        self.fill()

    def fill(self) -> None:
        """Make up for what was given up, if there is room by now; nothing fails for want of it."""
        if self._missing:
            # Not synced: the room is taken all the same, and after a power cut it is seen to.
            with contextlib.suppress(OSError, Unavailable), self._open() as fd:
                self._disk.write(fd, bytes(SIZE), 0)
                self._missing = False

    def helping(self, call: Callable[[], T]) -> T:
        """The outcome of ``call``, made once more with this room when the disk was full."""
        try:
            return call()
        except OSError as error:
            if error.errno not in _FULL or not self._size():
                raise
        self._missing = True
        with self._open() as fd:
            self._disk.truncate(fd)
            self._disk.sync(fd)  # some file systems free blocks only when the journal is written
        return call()

    def close(self) -> None:
        """Let the directory go; the file stays."""
        self._root.close()

    def _size(self) -> int:
        with contextlib.suppress(OSError, Unavailable), self._root.acquire() as root:
            return os.stat(_NAME, dir_fd=root, follow_symlinks=False).st_size
        return 0

    @contextlib.contextmanager
    def _open(self) -> Iterator[int]:
        with self._root.acquire() as root:
            fd = self._disk.open(_NAME, os.O_RDWR | os.O_CREAT, root)
        try:
            yield fd
        finally:
            os.close(fd)
