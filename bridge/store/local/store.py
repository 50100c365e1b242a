"""The local store itself: see the package's docstring for how its parts work together."""

from __future__ import annotations

import fcntl
import math
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bridge.store import deadline
from bridge.store.api import (
    Changed,
    Damaged,
    Exists,
    InvalidKey,
    Metadata,
    MultipartInfo,
    NotFound,
    ObjectInfo,
    OutOfSpace,
    PartInfo,
    Unavailable,
    check_key,
    check_metadata,
    check_part,
    check_prefix,
)
from bridge.store.local import header
from bridge.store.local.directories import ATTEMPTS, Directories, make_directory, make_root
from bridge.store.local.disk import Disk, Handle, meaning
from bridge.store.local.files import FileDownload, NewFile, describe, examine
from bridge.store.local.layout import place_of
from bridge.store.local.listing import Listing
from bridge.store.local.multipart import Multiparts
from bridge.store.local.scratch import Scratch
from bridge.store.local.spare import Spare
from bridge.store.local.uploads import LocalPartUpload, LocalUpload

PROBE_SECONDS = 5.0
"""Seconds for which a disk that took a file is believed to take another."""


class LocalStore:
    """An ObjectStore in the folder ``root``, which several processes may have open at once.

    Whatever it has answered survives a power cut. ``clock`` gives commit times in Unix seconds;
    ``monotonic`` bounds how often ``probe`` writes.
    Raises StoreError where the folder cannot be used.
    """

    def __init__(
        self,
        root: Path,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        disk: Disk | None = None,
    ) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._asked = -math.inf
        self._disk = disk or Disk()
        self._root = root
        self._closed = False
        try:
            fd = make_root(str(root.absolute()), self._disk)
            try:
                objects = make_directory("objects", fd, self._disk)
                self._objects = Directories(self._disk, Handle(objects))
                self._place = (os.fstat(objects).st_dev, os.fstat(objects).st_ino)
                uploads = make_directory("uploads", fd, self._disk)
                self._uploads = Directories(self._disk, Handle(uploads))
                self._spare = Spare(self._disk, fd)
                self._scratch = self._spare.helping(lambda: Scratch(self._disk, fd))
            finally:
                os.close(fd)
        except OSError as error:
            raise meaning(error) from error
        self._listing = Listing(self._disk, self._objects)
        self._multiparts = Multiparts(self._disk, self._uploads, self._scratch, clock)

    def put(self, key: str) -> LocalUpload:
        check_key(key)
        self._check(key)
        return LocalUpload(self._new_file(key), key, self._commit)

    def get(self, key: str, offset: int = 0, length: int | None = None) -> FileDownload:
        self._check(key)
        fd = self._open(key)
        try:
            slot, _ = examine(fd)
            if slot is None:
                raise Damaged("the object's header is damaged", key=key)
            return FileDownload(fd, slot.info(key), offset, length)
        except OSError as error:
            os.close(fd)
            raise meaning(error, key) from error
        except BaseException:
            os.close(fd)
            raise

    def stat(self, key: str) -> ObjectInfo:
        self._check(key)
        fd = self._open(key)
        try:
            return describe(fd, key)
        except OSError as error:
            raise meaning(error, key) from error
        finally:
            os.close(fd)

    def list(
        self, prefix: str, *, recursive: bool = False, cursor: str | None = None
    ) -> Iterator[ObjectInfo]:
        check_prefix(prefix)
        self._check(prefix)
        return self._walk(prefix, cursor, recursive=recursive)

    def _walk(self, prefix: str, cursor: str | None, *, recursive: bool) -> Iterator[ObjectInfo]:
        try:
            yield from self._listing.walk(prefix, cursor, recursive=recursive)
        except OSError as error:
            raise meaning(error, prefix) from error

    def delete(self, key: str) -> None:
        self.delete_many((key,))

    def delete_many(self, keys: Sequence[str]) -> None:
        self._check()
        names = defaultdict(list)
        for key in keys:
            directory, name = place_of(key)
            names[directory].append(name)
        for directory, doomed in names.items():
            try:
                self._remove(directory, doomed)
            except FileNotFoundError:
                continue  # the directory is gone, and with it what was in there
            except OSError as error:
                raise meaning(error, keys[0]) from error
        self._spare.fill()

    def _remove(self, directory: str, names: Sequence[str]) -> None:
        with self._objects.find(directory) as fd:
            for name in names:
                deadline.check()
                try:
                    self._disk.unlink(name, fd)
                except FileNotFoundError:
                    continue
            # Also where all were missing: another's removal may not be certain yet.
            self._disk.sync(fd)
        self._objects.prune(directory)

    def copy(self, src: str, dst: str, *, if_absent: bool = False) -> ObjectInfo:
        check_key(dst)
        self._check(src)
        if src == dst:
            raise InvalidKey("an object cannot be copied onto itself", key=src)
        if if_absent:
            self._check_absent(dst)  # for free, before the work; what decides comes at its end
        fd = self._open(src)
        try:
            slot, _ = examine(fd)
            if slot is None:
                raise Damaged("the object's header is damaged", key=src)
            file = self._new_file(dst)
            try:
                file.append_content_of(fd, slot.size, src)
                return self._commit(file, dst, slot.metadata, if_absent=if_absent)
            finally:
                file.release()
        except OSError as error:
            raise meaning(error, dst) from error
        finally:
            os.close(fd)

    def move(self, src: str, dst: str) -> None:
        check_key(dst)
        self._check(src)
        if src == dst:
            self.stat(src)
            return
        try:
            self._spare.helping(lambda: self._move(src, dst))
        except OSError as error:
            raise meaning(error, src) from error

    def _move(self, src: str, dst: str) -> None:
        src_directory, src_name = place_of(src)
        dst_directory, dst_name = place_of(dst)
        for _ in range(ATTEMPTS):
            with self._objects.hold(dst_directory) as dst_fd:
                try:
                    with self._objects.find(src_directory) as src_fd:
                        self._disk.rename(src_name, dst_name, src_fd, dst_fd)
                        # The new name first: lost is worse than twice.
                        self._disk.sync(dst_fd)
                        if src_directory != dst_directory:
                            self._disk.sync(src_fd)
                    moved = True
                except FileNotFoundError:
                    moved = False
            if moved:
                if src_directory != dst_directory:
                    self._objects.prune(src_directory)
                return
            # Either the object is missing, or the directory it goes to was just removed.
            self._objects.prune(dst_directory)
            os.close(self._open(src))
            self._objects.forget(dst_directory)
        raise Unavailable("its directory is removed again and again", key=dst)

    def set_metadata(self, key: str, metadata: Metadata, version: str) -> None:
        check_metadata(metadata, key=key)
        self._check(key)
        try:
            while not self._update(key, metadata, version):
                deadline.check(key)
        except OSError as error:
            raise meaning(error, key) from error

    def _update(self, key: str, metadata: Metadata, version: str) -> bool:
        """Write the metadata; returns False if the object was replaced before it was locked."""
        fd = self._open(key, os.O_RDWR)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            again = self._open(key)
            try:
                if not os.path.sameopenfile(fd, again):
                    return False
            finally:
                os.close(again)
            slot, _ = examine(fd)
            if slot is None:
                raise Damaged("the object's header is damaged", key=key)
            if slot.version.hex() != version:
                raise Changed("the object has another version by now", key=key)
            changed = header.Slot(
                slot.sequence + 1, slot.size, slot.modified, slot.version, metadata
            )
            self._disk.write(fd, changed.pack(key), header.other(slot))
            self._disk.sync_data(fd)
        finally:
            os.close(fd)
        return True

    def create_multipart(self, key: str) -> str:
        check_key(key)
        self._check(key)
        try:
            return self._multiparts.create(key)
        except OSError as error:
            raise meaning(error, key) from error

    def put_part(self, key: str, upload_id: str, number: int) -> LocalPartUpload:
        check_part(number, key=key)
        self._check(key)
        try:
            self._multiparts.check(key, upload_id)
        except OSError as error:
            raise meaning(error, key) from error

        def publish(file: NewFile, etag: str) -> PartInfo:
            check_metadata({"etag": etag}, key=key)
            self._check(key)
            return self._multiparts.publish(key, upload_id, number, file, etag)

        return LocalPartUpload(self._new_file(key), key, publish)

    def list_parts(self, key: str, upload_id: str) -> Sequence[PartInfo]:
        self._check(key)
        try:
            return self._multiparts.parts(key, upload_id)
        except OSError as error:
            raise meaning(error, key) from error

    def complete_multipart(
        self, key: str, upload_id: str, metadata: Metadata, *, if_absent: bool = False
    ) -> ObjectInfo:
        check_metadata(metadata, key=key)
        self._check(key)
        try:
            with self._multiparts.claim(key, upload_id):
                if if_absent:
                    self._check_absent(key)
                file = self._new_file(key)
                try:
                    self._multiparts.join(key, upload_id, file)
                    info = self._commit(file, key, metadata, if_absent=if_absent)
                finally:
                    file.release()
                self._multiparts.remove(upload_id)
                return info
        except OSError as error:
            raise meaning(error, key) from error

    def abort_multipart(self, key: str, upload_id: str) -> None:
        self._check(key)
        try:
            self._multiparts.check(key, upload_id)
            self._multiparts.remove(upload_id)
        except NotFound:
            return
        except OSError as error:
            raise meaning(error, key) from error

    def list_multiparts(self, prefix: str) -> Sequence[MultipartInfo]:
        check_prefix(prefix)
        self._check(prefix)
        try:
            return self._multiparts.list(prefix)
        except OSError as error:
            raise meaning(error, prefix) from error

    def probe(self) -> None:
        self._check()
        try:
            now = os.stat(self._root / "objects")
            if (now.st_dev, now.st_ino) != self._place:
                raise Unavailable(f"{self._root} is not the folder it was: is a disk unmounted?")
            if self._monotonic() >= self._asked + PROBE_SECONDS:
                self._write_and_sync()
                self._asked = self._monotonic()
        except OSError as error:
            raise meaning(error) from error

    def _write_and_sync(self) -> None:
        """Have the disk take a file for good. One that is full is none that has failed."""
        try:
            file = NewFile(self._disk, self._scratch)
            try:
                file.finish({}, self._clock(), "")
            finally:
                file.release()
            self._spare.check()
        except OSError as error:
            if not isinstance(meaning(error), OutOfSpace):
                raise

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._scratch.close()
            self._objects.close()
            self._uploads.close()
            self._spare.close()

    def _check(self, key: str = "") -> None:
        if self._closed:
            raise Unavailable("the store is closed", key=key)
        deadline.check(key)

    def _open(self, key: str, flags: int = os.O_RDONLY) -> int:
        directory, name = place_of(key)
        try:
            return self._objects.open(directory, name, flags)
        except FileNotFoundError:
            raise NotFound("no such object", key=key) from None
        except OSError as error:
            raise meaning(error, key) from error

    def _new_file(self, key: str) -> NewFile:
        try:
            return NewFile(self._disk, self._scratch)
        except OSError as error:
            raise meaning(error, key) from error

    def _check_absent(self, key: str) -> None:
        try:
            os.close(self._open(key))
        except NotFound:
            return
        raise Exists("an object is there", key=key)

    def _commit(
        self, file: NewFile, key: str, metadata: Metadata, *, if_absent: bool
    ) -> ObjectInfo:
        """Make ``file`` the object at ``key``. Raises StoreError, OSError."""
        check_metadata(metadata, key=key)
        self._check(key)
        info = file.finish(metadata, self._clock(), key)
        directory, name = place_of(key)
        for _ in range(ATTEMPTS):
            try:
                with self._objects.hold(directory) as fd:
                    file.place(name, fd, replace=not if_absent)
                    self._disk.sync(fd)
                    return info
            except FileNotFoundError:
                self._objects.forget(directory)  # it has just been removed
            except FileExistsError:
                raise Exists("an object is there", key=key) from None
            except OSError:
                self._objects.prune(directory)
                raise
        raise Unavailable("its directory is removed again and again", key=key)
