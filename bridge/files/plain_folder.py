"""A folder of the disk that a tree is written to in plain text.

Names come from clients and times from anybody: no name leads out of the folder or takes another's
place. A file has its name only once it is whole and on the disk.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import stat
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import BinaryIO

from bridge.crypto.cbor import nanoseconds
from bridge.store.closing import Closing

WORKSHOP = ".storj-bridge-export"
"""The folder in the target where files are until they are whole; no entry gets this name."""

_NAME_LIMIT = 255
"""Bytes of a name that file systems hold."""

_IMPOSSIBLE = re.compile(r"[/\0]")

_ALL_IS_LOST = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ENODEV, errno.ENXIO),
    *(errno.EMFILE, errno.ENFILE, errno.ESTALE),
}
"""What the next file would fail by as well."""

_SECOND = 10**9


class TargetError(Exception):
    """Nothing can be written there (any more); the message says why."""


class CannotWrite(Exception):
    """One file or folder cannot be written; the message says why."""


class Names:
    """The names taken in one folder. ``fold``: whether the disk takes ``a`` and ``A`` for one."""

    def __init__(self, *, fold: bool, reserved: tuple[str, ...] = ()) -> None:
        self._fold = fold
        self._taken = set(map(self._key, reserved))

    def take(self, name: str) -> str:
        """``name``, or what comes next to it and is possible and free."""
        safe = "_" * len(name) if name in (".", "..") else _IMPOSSIBLE.sub("_", name) or "_"
        free = next(
            found
            for found in (_numbered(safe, number) for number in count(1))
            if self._key(found) not in self._taken
        )
        self._taken.add(self._key(free))
        return free

    def _key(self, name: str) -> str:
        return unicodedata.normalize("NFD", name).casefold() if self._fold else name


def _numbered(name: str, number: int) -> str:
    """``name`` cut to what fits and, from the second on, with its number before the suffix."""
    stem, dot, suffix = name.rpartition(".")
    if not stem or len(suffix) > 16:
        stem, dot, suffix = name, "", ""
    mark = f" ({number})" if number > 1 else ""
    room = _NAME_LIMIT - len(f"{mark}{dot}{suffix}".encode())
    return f"{stem.encode()[:room].decode(errors='ignore')}{mark}{dot}{suffix}"


class PlainFolder(Closing):
    """The target of one export at a time. Made, for its owner only, where it is missing.

    Raises TargetError. Methods may be called by several threads.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._workshop = path / WORKSHOP
        self._files = count()
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._workshop.mkdir(mode=0o700, exist_ok=True)
            self._lock = os.open(self._workshop, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError as error:
            raise TargetError(f"{error.filename}: {error.strerror}") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for left in self._workshop.iterdir():
                left.unlink()
        except BlockingIOError:
            os.close(self._lock)
            raise TargetError(f"{path}: another export writes there") from None
        except OSError as error:
            os.close(self._lock)
            raise TargetError(f"{error.filename}: {error.strerror}") from None
        self._fold = (path / WORKSHOP.upper()).exists()

    def names(self) -> Names:
        """For the names in one folder."""
        return Names(fold=self._fold, reserved=(WORKSHOP,))

    def make_folder(self, path: Path) -> None:
        """A folder that may be there already. Raises CannotWrite, TargetError."""
        with _told():
            try:
                path.mkdir()
            except FileExistsError:
                if not stat.S_ISDIR(path.lstat().st_mode):
                    raise CannotWrite("something else is there") from None

    def has(self, path: Path, size: int, mtime: float) -> bool:
        """Whether a file of this size and time (Unix seconds) is there."""
        try:
            found = path.lstat()
        except OSError:
            return False
        late = nanoseconds(mtime) - found.st_mtime_ns
        # Some disks keep whole seconds, or even ones, and some keep tenths of a microsecond.
        coarse = found.st_mtime_ns % _SECOND == 0 and 0 <= late < 2 * _SECOND
        return (
            stat.S_ISREG(found.st_mode) and found.st_size == size and (abs(late) < 1000 or coarse)
        )

    @contextmanager
    def new_file(self, path: Path, mtime: float) -> Iterator[BinaryIO]:
        """A file to write; at ``path`` when the block has ended well, and else nowhere.

        Raises CannotWrite, TargetError.
        """
        draft = self._workshop / str(next(self._files))
        try:
            with _told(), draft.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            with _told():
                _set_time(draft, mtime)
                draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)

    def set_time(self, path: Path, mtime: float) -> None:
        """Give a folder its time (Unix seconds). Raises CannotWrite, TargetError."""
        with _told():
            _set_time(path, mtime)

    def close(self) -> None:
        """Let another export write there."""
        if self._lock >= 0:
            times = self.path.stat()
            shutil.rmtree(self._workshop, ignore_errors=True)
            os.utime(self.path, ns=(times.st_atime_ns, times.st_mtime_ns))
            os.close(self._lock)
            self._lock = -1


def _set_time(path: Path, mtime: float) -> None:
    at = nanoseconds(mtime)
    with suppress(OverflowError):  # a disk's times end somewhere
        os.utime(path, ns=(at, at))


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _ALL_IS_LOST:
            raise TargetError(f"{error.filename}: {error.strerror}") from error
        raise CannotWrite(error.strerror or str(error)) from error
