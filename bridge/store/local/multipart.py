"""Multipart uploads: a directory for each, in which every part is a file like an object's.

``uploads/<id>/upload`` is an empty object whose metadata is the key; ``uploads/<id>/00007`` is
part 7, its etag in its metadata. An upload appears and vanishes by one rename of its directory.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from bridge.store.api import Damaged, MultipartInfo, NotFound, PartInfo, Unavailable
from bridge.store.local.directories import Directories
from bridge.store.local.disk import Disk
from bridge.store.local.files import NewFile, describe
from bridge.store.local.scratch import Scratch

_ID = re.compile(r"[0-9a-f]{32}")
_UPLOAD = "upload"


class Multiparts:
    """The multipart uploads below ``directories``; its methods raise OSError too."""

    def __init__(
        self, disk: Disk, directories: Directories, scratch: Scratch, clock: Callable[[], float]
    ) -> None:
        self._disk = disk
        self._directories = directories
        self._scratch = scratch
        self._clock = clock

    def create(self, key: str) -> str:
        """Begin an upload; returns its id."""
        upload_id = secrets.token_hex(16)
        name = self._scratch.name()
        try:
            with self._scratch.hold() as scratch, self._directories.hold("") as uploads:
                self._disk.mkdir(name, scratch)
                file = NewFile(self._disk, self._scratch)
                try:
                    file.finish({"key": key}, self._clock(), key)
                    inside = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=scratch)
                    try:
                        file.place(_UPLOAD, inside)
                        self._disk.sync(inside)
                    finally:
                        os.close(inside)
                finally:
                    file.release()
                self._disk.rename(name, upload_id, scratch, uploads)
                self._disk.sync(uploads)
        except BaseException:
            self._scratch.remove(name)
            raise
        return upload_id

    def find(self, key: str, upload_id: str) -> int:
        """Open the upload's own file, which stands for it. Raises NotFound."""
        missing = NotFound("no such multipart upload", key=key)
        if _ID.fullmatch(upload_id) is None:
            raise missing
        try:
            fd = self._directories.open(upload_id, _UPLOAD, os.O_RDONLY)
        except FileNotFoundError:
            raise missing from None
        try:
            metadata = describe(fd, key).metadata
            if metadata is None:
                raise Damaged("the multipart upload's own file is damaged", key=key)
            if metadata.get("key") != key:
                raise missing
        except BaseException:
            os.close(fd)
            raise
        return fd

    def check(self, key: str, upload_id: str) -> None:
        """Raise NotFound unless the upload is there."""
        os.close(self.find(key, upload_id))

    def parts(self, key: str, upload_id: str) -> Sequence[PartInfo]:
        """The committed parts, by number. Raises NotFound, Damaged."""
        self.check(key, upload_id)
        found = []
        for name in self._part_names(key, upload_id):
            with self._open_part(key, upload_id, name) as fd:
                info = describe(fd, key)
            if info.metadata is None:
                raise Damaged(f"part {int(name)} is damaged", key=key)
            found.append(PartInfo(int(name), info.size, info.metadata["etag"]))
        return found

    def join(self, key: str, upload_id: str, file: NewFile) -> None:
        """Append all parts to ``file``. Raises Damaged."""
        for name in self._part_names(key, upload_id):
            with self._open_part(key, upload_id, name) as fd:
                info = describe(fd, key)
                if info.metadata is None:
                    raise Damaged(f"part {int(name)} is damaged", key=key)
                file.append_content_of(fd, info.size, key)

    @contextmanager
    def claim(self, key: str, upload_id: str) -> Iterator[None]:
        """Be the only one to complete the upload. Raises NotFound, Unavailable."""
        fd = self.find(key, upload_id)
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Unavailable("somebody is completing this upload", key=key) from None
            self.check(key, upload_id)  # another may have completed it before the lock was ours
            yield
        finally:
            os.close(fd)

    def remove(self, upload_id: str) -> None:
        """Make the upload vanish, and then its parts."""
        name = self._scratch.name()
        with self._scratch.hold() as scratch, self._directories.hold("") as uploads:
            with contextlib.suppress(FileNotFoundError):
                self._disk.rename(upload_id, name, uploads, scratch)
            self._disk.sync(uploads)
        self._scratch.remove(name)

    def list(self, prefix: str) -> Sequence[MultipartInfo]:
        """The uploads in progress whose key begins with ``prefix``, oldest first."""
        found = []
        with self._directories.find("") as uploads:
            names = [name for name in os.listdir(uploads) if _ID.fullmatch(name)]
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                fd = self._directories.open(name, _UPLOAD, os.O_RDONLY)
                try:
                    info = describe(fd, "")
                finally:
                    os.close(fd)
                key = (info.metadata or {}).get("key", "")
                if key.startswith(prefix):
                    found.append(MultipartInfo(key, name, info.modified))
        return sorted(found, key=lambda upload: upload.started)

    def publish(self, key: str, upload_id: str, number: int, file: NewFile, etag: str) -> PartInfo:
        """Make a file a part. Raises NotFound."""
        file.finish({"etag": etag}, self._clock(), key)
        try:
            with self._directories.find(upload_id) as directory:
                file.place(f"{number:05}", directory)
                self._disk.sync(directory)
        except FileNotFoundError:
            raise NotFound("the multipart upload is gone", key=key) from None
        return PartInfo(number, file.size, etag)

    def _part_names(self, key: str, upload_id: str) -> Sequence[str]:
        try:
            with self._directories.find(upload_id) as directory:
                return sorted(name for name in os.listdir(directory) if name != _UPLOAD)
        except FileNotFoundError:
            raise NotFound("the multipart upload is gone", key=key) from None

    @contextmanager
    def _open_part(self, key: str, upload_id: str, name: str) -> Iterator[int]:
        try:
            fd = self._directories.open(upload_id, name, os.O_RDONLY)
        except FileNotFoundError:
            raise NotFound("the multipart upload is gone", key=key) from None
        try:
            yield fd
        finally:
            os.close(fd)
