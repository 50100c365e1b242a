"""The system calls by which the local store changes the disk, and what their errors mean.

All changes go through one ``Disk`` so that a test can record them and replay every state a
power cut could leave. Reads need no such seam and call ``os`` directly.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sys
import threading
from types import TracebackType
from typing import Self

from bridge.store.api import (
    Buffer,
    Damaged,
    Forbidden,
    InvalidKey,
    OutOfSpace,
    ReadOnly,
    StoreError,
    TooLarge,
    Unavailable,
)

_COPY_BLOCK = 1 << 20
"""Bytes copied at once where the kernel cannot copy by itself."""

_CANNOT_COPY = {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM}
"""What copy_file_range(2) says where the file system, or a sandbox, does not offer it."""

_MEANINGS: dict[int | None, type[StoreError]] = {
    errno.ENOSPC: OutOfSpace,
    errno.EDQUOT: OutOfSpace,
    errno.EFBIG: TooLarge,
    errno.EISDIR: Damaged,  # somebody put a directory where an object should be
    errno.EACCES: Forbidden,
    errno.EPERM: Forbidden,
    errno.EROFS: ReadOnly,
    errno.ENAMETOOLONG: InvalidKey,
}


def meaning(error: OSError, key: str = "") -> StoreError:
    """The StoreError that says what ``error`` means for the object at ``key``."""
    kind = _MEANINGS.get(error.errno, Unavailable)
    return kind(f"the disk says: {error.strerror or error}", key=key)


class Disk:
    """The changing system calls, each as in ``os``; paths are relative to a directory's fd."""

    def open(self, path: str, flags: int, dir_fd: int) -> int:
        """Open, and with O_CREAT make, a file that only its owner may read."""
        return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=dir_fd)

    def write(self, fd: int, data: Buffer, offset: int) -> None:
        """Write all of ``data`` at ``offset``."""
        done = os.pwrite(fd, data, offset)
        if done < len(data):
            view = memoryview(data)
            while done < len(view):
                done += os.pwrite(fd, view[done:], offset + done)

    def truncate(self, fd: int) -> None:
        """Take a file's content away."""
        os.ftruncate(fd, 0)

    def copy(self, src: int, dst: int, count: int, src_offset: int, dst_offset: int) -> int:
        """Copy up to ``count`` bytes between files; returns how many, 0 at the end of ``src``."""
        if sys.platform == "linux":
            try:
                return os.copy_file_range(src, dst, count, src_offset, dst_offset)
            except OSError as error:
                if error.errno not in _CANNOT_COPY:
                    raise
        block = os.pread(src, min(count, _COPY_BLOCK), src_offset)
        self.write(dst, block, dst_offset)
        return len(block)

    def sync(self, fd: int) -> None:
        """Return once the file, or the entries of the directory, survive a power cut."""
        if sys.platform == "darwin":
            # fsync(2) there leaves data in the drive's cache.
            fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
        else:
            os.fsync(fd)

    def sync_data(self, fd: int) -> None:
        """As ``sync``, for a file of which nothing but content has changed."""
        if sys.platform == "darwin":
            self.sync(fd)
        else:
            os.fdatasync(fd)

    def rename(self, src: str, dst: str, src_fd: int, dst_fd: int) -> None:
        """Rename, replacing ``dst``."""
        os.rename(src, dst, src_dir_fd=src_fd, dst_dir_fd=dst_fd)

    def link(self, src: str, dst: str, src_fd: int, dst_fd: int) -> None:
        """Give a file a second name; FileExistsError where that is taken."""
        os.link(src, dst, src_dir_fd=src_fd, dst_dir_fd=dst_fd, follow_symlinks=False)

    def unlink(self, path: str, dir_fd: int) -> None:
        """Remove a file's name."""
        os.unlink(path, dir_fd=dir_fd)

    def mkdir(self, path: str, dir_fd: int | None) -> None:
        """Make a directory that only its owner may enter."""
        os.mkdir(path, 0o700, dir_fd=dir_fd)

    def rmdir(self, path: str, dir_fd: int) -> None:
        """Remove an empty directory."""
        os.rmdir(path, dir_fd=dir_fd)


class Handle:
    """A file descriptor that closes only when nobody is using it any more.

    A number closed under another thread's feet may by then name another file. ``acquire``,
    then leave the ``with`` block of the handle: its value is the descriptor.
    """

    __slots__ = ("_closing", "_fd", "_lock", "_users")

    def __init__(self, fd: int) -> None:
        self._fd = fd
        # Reentrant: the collector may drop an upload, which cleans up, while this is held.
        self._lock = threading.RLock()
        self._users = 0
        self._closing = False

    def acquire(self) -> Self:
        """Count one more user. Raises Unavailable once it is closed."""
        with self._lock:
            if self._closing:
                raise Unavailable("the store is closed")
            self._users += 1
        return self

    def close(self) -> None:
        """Close it as soon as nobody uses it; may be called twice."""
        with self._lock:
            last = not self._closing and self._users == 0
            self._closing = True
        if last:
            os.close(self._fd)

    def __enter__(self) -> int:
        return self._fd

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            self._users -= 1
            last = self._closing and self._users == 0
        if last:
            os.close(self._fd)
