"""A store around a store: what the wrappers have in common.

A wrapper says what to do around a call, once, and each call of the store and of the
uploads, parts and downloads it hands out passes through there under the name of its operation.
``abort`` and ``close`` do not: nothing may stop or delay them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Literal, TypeVar

from bridge.store.api import (
    Buffer,
    Download,
    Metadata,
    MultipartInfo,
    ObjectInfo,
    ObjectStore,
    PartInfo,
    PartUpload,
    StoreError,
    Upload,
    UploadBroken,
)
from bridge.store.closing import Closing

Operation = Literal[
    "put",
    "write",
    "commit",
    "get",
    "read",
    "stat",
    "list",
    "delete",
    "delete_many",
    "copy",
    "move",
    "set_metadata",
    "create_multipart",
    "put_part",
    "write_part",
    "commit_part",
    "list_parts",
    "complete_multipart",
    "abort_multipart",
    "list_multiparts",
    "probe",
]
"""The name of a call; ``read`` is a download's ``readinto``, ``list`` one page of a listing."""

PAGE = 1000
"""Objects in a page of a listing: as many as Storj answers to one request."""

T = TypeVar("T")


class WrappedStore:
    """An ObjectStore that passes every call on to ``inner``."""

    def __init__(self, inner: ObjectStore) -> None:
        self._inner = inner

    def around(self, operation: Operation, key: str, call: Callable[[], T]) -> T:
        """Make one call. ``key`` is its object, source or prefix, or ``""``."""
        return call()

    def sent(self, count: int) -> None:
        """Told of ``count`` bytes of content written."""

    def received(self, count: int) -> None:
        """Told of ``count`` bytes of content read."""

    def put(self, key: str) -> Upload:
        upload = self.around("put", key, lambda: self._inner.put(key))
        return WrappedUpload(self, upload, key)

    def get(self, key: str, offset: int = 0, length: int | None = None) -> Download:
        download = self.around("get", key, lambda: self._inner.get(key, offset, length))
        return WrappedDownload(self, download, key)

    def stat(self, key: str) -> ObjectInfo:
        return self.around("stat", key, lambda: self._inner.stat(key))

    def list(
        self, prefix: str, *, recursive: bool = False, cursor: str | None = None
    ) -> Iterator[ObjectInfo]:
        def first() -> tuple[Iterator[ObjectInfo], Sequence[ObjectInfo]]:
            listing = self._inner.list(prefix, recursive=recursive, cursor=cursor)
            return listing, tuple(islice(listing, PAGE))

        listing, page = self.around("list", prefix, first)
        return self._pages(prefix, listing, page)

    def _pages(
        self, prefix: str, listing: Iterator[ObjectInfo], page: Sequence[ObjectInfo]
    ) -> Iterator[ObjectInfo]:
        while page:
            yield from page
            if len(page) < PAGE:
                return
            page = self.around("list", prefix, lambda: tuple(islice(listing, PAGE)))

    def delete(self, key: str) -> None:
        self.around("delete", key, lambda: self._inner.delete(key))

    def delete_many(self, keys: Sequence[str]) -> None:
        self.around("delete_many", "", lambda: self._inner.delete_many(keys))

    def copy(self, src: str, dst: str, *, if_absent: bool = False) -> ObjectInfo:
        return self.around("copy", src, lambda: self._inner.copy(src, dst, if_absent=if_absent))

    def move(self, src: str, dst: str) -> None:
        self.around("move", src, lambda: self._inner.move(src, dst))

    def set_metadata(self, key: str, metadata: Metadata, version: str) -> None:
        self.around("set_metadata", key, lambda: self._inner.set_metadata(key, metadata, version))

    def create_multipart(self, key: str) -> str:
        return self.around("create_multipart", key, lambda: self._inner.create_multipart(key))

    def put_part(self, key: str, upload_id: str, number: int) -> PartUpload:
        part = self.around("put_part", key, lambda: self._inner.put_part(key, upload_id, number))
        return WrappedPartUpload(self, part, key)

    def list_parts(self, key: str, upload_id: str) -> Sequence[PartInfo]:
        return self.around("list_parts", key, lambda: self._inner.list_parts(key, upload_id))

    def complete_multipart(
        self, key: str, upload_id: str, metadata: Metadata, *, if_absent: bool = False
    ) -> ObjectInfo:
        return self.around(
            "complete_multipart",
            key,
            lambda: self._inner.complete_multipart(key, upload_id, metadata, if_absent=if_absent),
        )

    def abort_multipart(self, key: str, upload_id: str) -> None:
        self.around("abort_multipart", key, lambda: self._inner.abort_multipart(key, upload_id))

    def list_multiparts(self, prefix: str) -> Sequence[MultipartInfo]:
        return self.around("list_multiparts", prefix, lambda: self._inner.list_multiparts(prefix))

    def probe(self) -> None:
        self.around("probe", "", self._inner.probe)

    def close(self) -> None:
        self._inner.close()


class WrappedUpload:
    """An Upload whose calls pass through its store's ``around``."""

    def __init__(self, store: WrappedStore, inner: Upload, key: str) -> None:
        self._store = store
        self._inner = inner
        self._key = key
        self._holed = False  # whether a write failed, which the inner upload may not have seen

    def write(self, data: Buffer) -> None:
        """See ``Upload.write``."""
        try:
            self._store.around("write", self._key, lambda: self._inner.write(data))
        except StoreError:
            self._holed = True
            raise
        self._store.sent(len(data))

    def commit(self, metadata: Metadata, *, if_absent: bool = False) -> ObjectInfo:
        """See ``Upload.commit``."""
        if self._holed:
            raise UploadBroken("an earlier write failed", key=self._key)
        return self._store.around(
            "commit", self._key, lambda: self._inner.commit(metadata, if_absent=if_absent)
        )

    def abort(self) -> None:
        """See ``Upload.abort``."""
        self._inner.abort()


class WrappedPartUpload:
    """A PartUpload whose calls pass through its store's ``around``."""

    def __init__(self, store: WrappedStore, inner: PartUpload, key: str) -> None:
        self._store = store
        self._inner = inner
        self._key = key
        self._holed = False

    def write(self, data: Buffer) -> None:
        """See ``PartUpload.write``."""
        try:
            self._store.around("write_part", self._key, lambda: self._inner.write(data))
        except StoreError:
            self._holed = True
            raise
        self._store.sent(len(data))

    def commit(self, etag: str) -> PartInfo:
        """See ``PartUpload.commit``."""
        if self._holed:
            raise UploadBroken("an earlier write failed", key=self._key)
        return self._store.around("commit_part", self._key, lambda: self._inner.commit(etag))

    def abort(self) -> None:
        """See ``PartUpload.abort``."""
        self._inner.abort()


class WrappedDownload(Closing):
    """A Download whose calls pass through its store's ``around``."""

    def __init__(self, store: WrappedStore, inner: Download, key: str) -> None:
        self._store = store
        self._inner = inner
        self._key = key

    @property
    def info(self) -> ObjectInfo:
        """See ``Download.info``."""
        return self._inner.info

    def readinto(self, buffer: memoryview) -> int:
        """See ``Download.readinto``."""
        count = self._store.around("read", self._key, lambda: self._inner.readinto(buffer))
        self._store.received(count)
        return count

    def close(self) -> None:
        """See ``Download.close``."""
        self._inner.close()
