"""One object's file: writing it where nobody sees it, and reading it."""

from __future__ import annotations

import os
import secrets
import stat
import threading

from bridge.store import deadline
from bridge.store.api import (
    Buffer,
    Damaged,
    Metadata,
    ObjectInfo,
    StoreError,
)
from bridge.store.closing import Closing
from bridge.store.local import header
from bridge.store.local.disk import Disk, meaning
from bridge.store.local.scratch import Scratch

_COPY = 64 << 20
"""Bytes copied between two looks at the deadline."""


def examine(fd: int) -> tuple[header.Slot | None, int]:
    """What the header of an open file says (None: damaged), and the length of its content."""
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        return None, 0  # a link, a pipe, a folder: no store puts them there
    length = status.st_size
    slot = header.read(os.pread(fd, header.CONTENT, 0), length)
    return slot, max(0, length - header.CONTENT)


def describe(fd: int, key: str) -> ObjectInfo:
    """The object at ``key`` in an open file, damaged or not."""
    slot, size = examine(fd)
    if slot is None:
        return ObjectInfo(key, size, os.fstat(fd).st_mtime)
    return slot.info(key)


class NewFile:
    """A file that is not yet an object: in scratch, until it is published or thrown away."""

    def __init__(self, disk: Disk, scratch: Scratch) -> None:
        self._disk = disk
        self._scratch = scratch
        self.size = 0
        self._placed = False
        self._name, self._fd = scratch.create()

    def write(self, data: Buffer) -> None:
        """Append ``data`` to the content."""
        self._disk.write(self._fd, data, header.CONTENT + self.size)
        self.size += len(data)

    def append_content_of(self, fd: int, size: int, key: str) -> None:
        """Append the ``size`` bytes of content of another object's file, the kernel copying."""
        done = 0
        while done < size:
            deadline.check(key)
            count = self._disk.copy(
                fd,
                self._fd,
                min(size - done, _COPY),
                header.CONTENT + done,
                header.CONTENT + self.size,
            )
            if count == 0:
                raise Damaged("the file is shorter than it was", key=key)
            done += count
            self.size += count

    def finish(self, metadata: Metadata, modified: float, key: str) -> ObjectInfo:
        """Write the header and return when the whole file is certain to be on the disk."""
        version = secrets.token_bytes(16)
        slot = header.Slot(0, self.size, modified, version, dict(metadata))
        self._disk.write(self._fd, header.fresh(slot, key), 0)
        self._disk.sync(self._fd)
        return slot.info(key)

    def place(self, name: str, directory: int, *, replace: bool = True) -> None:
        """Make it visible as ``name``. Raises FileExistsError if not ``replace``."""
        with self._scratch.hold() as scratch:
            if replace:
                self._disk.rename(self._name, name, scratch, directory)
                self._placed = True
            else:
                self._disk.link(self._name, name, scratch, directory)

    def release(self) -> None:
        """Let it go; unless it has been placed, it is gone and its space is free at once."""
        if not self._placed:
            self._scratch.remove(self._name)
        os.close(self._fd)


class FileDownload(Closing):
    """A range of an object's content, read from a file that stays open: see ``Download``."""

    def __init__(self, fd: int, info: ObjectInfo, offset: int, length: int | None) -> None:
        self.info = info
        self._fd = fd
        self._lock = threading.Lock()
        left = max(0, info.size - offset)
        self._left = left if length is None else min(left, length)
        self._position = header.CONTENT + offset

    def readinto(self, buffer: memoryview) -> int:
        """Read into ``buffer`` without a copy between."""
        with self._lock:
            if self._fd < 0:
                raise StoreError("the download is closed", key=self.info.key)
            if len(buffer) > self._left:
                buffer = buffer[: self._left]
            if not buffer:
                return 0
            try:
                deadline.check(self.info.key)
                count = os.preadv(self._fd, [buffer], self._position)
            except OSError as error:
                raise meaning(error, self.info.key) from error
            if count == 0:
                raise Damaged("the file is shorter than it was", key=self.info.key)
            self._position += count
            self._left -= count
            return count

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1

    def __del__(self) -> None:
        """Leave no file open when it is dropped."""
        self.close()
