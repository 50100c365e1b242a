"""Uploads in progress: a new file, and what becomes of it."""

from __future__ import annotations

import threading
from typing import Protocol

from bridge.store import deadline
from bridge.store.api import (
    Buffer,
    Exists,
    Metadata,
    ObjectInfo,
    PartInfo,
    StoreError,
    Unavailable,
    UploadBroken,
)
from bridge.store.local.disk import meaning
from bridge.store.local.files import NewFile


class Publish(Protocol):
    """How a store makes an object of a file. Raises StoreError, OSError."""

    def __call__(
        self, file: NewFile, key: str, metadata: Metadata, *, if_absent: bool
    ) -> ObjectInfo: ...


class PublishPart(Protocol):
    """How a store makes a part of a file. Raises StoreError, OSError."""

    def __call__(self, file: NewFile, etag: str) -> PartInfo: ...


class FileUpload:
    """What an Upload and a PartUpload have in common: one new file and its end."""

    def __init__(self, file: NewFile, key: str) -> None:
        self._key = key
        self._file: NewFile | None = file
        # A write in one thread and an abort in another must not meet on a closed descriptor.
        self._lock = threading.Lock()
        self._over = "the upload was aborted"

    def write(self, data: Buffer) -> None:
        """Append ``data``: see ``Upload.write``."""
        with self._lock:
            file = self._open()
            try:
                deadline.check(self._key)
                file.write(data if isinstance(data, bytes) else memoryview(data).cast("B"))
            except OSError as error:
                raise self._broken(error) from error
            except StoreError as error:
                self._end(f"a write failed: {error}")
                raise

    def abort(self) -> None:
        """Throw it away: see ``Upload.abort``."""
        with self._lock:
            self._end("the upload was aborted")

    def __del__(self) -> None:
        """Leave nothing behind when it is dropped."""
        if getattr(self, "_file", None) is not None:
            self._end("the upload was dropped")

    def _open(self) -> NewFile:
        if self._file is None:
            raise UploadBroken(self._over, key=self._key)
        return self._file

    def _broken(self, error: OSError) -> StoreError:
        """End it after an error of the disk, since a second fsync may lie; what to raise."""
        meant = meaning(error, self._key)
        self._end(f"the upload failed: {meant}")
        return UploadBroken(str(meant), key=self._key) if type(meant) is Unavailable else meant

    def _end(self, why: str) -> None:
        if self._file is not None:
            self._over = why
            self._file.release()
            self._file = None


class LocalUpload(FileUpload):
    """An object being written: see ``Upload``."""

    def __init__(self, file: NewFile, key: str, publish: Publish) -> None:
        super().__init__(file, key)
        self._publish = publish
        self._committed: ObjectInfo | None = None

    def commit(self, metadata: Metadata, *, if_absent: bool = False) -> ObjectInfo:
        """Publish it: see ``Upload.commit``."""
        with self._lock:
            if self._committed is not None:
                if if_absent:
                    raise Exists("an object is there", key=self._key)
                return self._committed
            file = self._open()
            try:
                info = self._publish(file, self._key, metadata, if_absent=if_absent)
            except OSError as error:
                raise self._broken(error) from error
            self._committed = info
            self._end("the upload was committed")
            return info


class LocalPartUpload(FileUpload):
    """A part being written: see ``PartUpload``."""

    def __init__(self, file: NewFile, key: str, publish: PublishPart) -> None:
        super().__init__(file, key)
        self._publish = publish
        self._committed: PartInfo | None = None

    def commit(self, etag: str) -> PartInfo:
        """Keep it: see ``PartUpload.commit``."""
        with self._lock:
            if self._committed is not None:
                return self._committed
            file = self._open()
            try:
                part = self._publish(file, etag)
            except OSError as error:
                raise self._broken(error) from error
            self._committed = part
            self._end("the upload was committed")
            return part
