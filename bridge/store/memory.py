"""A store in a dictionary: the reference for what a store does, and quick to test on.

It keeps nothing beyond the process. Objects are listed in the order of their keys' code
points, which is that of their UTF-8 bytes.
"""

from __future__ import annotations

import secrets
import threading
import time
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from bridge.store import deadline
from bridge.store.api import (
    Buffer,
    Changed,
    Exists,
    InvalidKey,
    Metadata,
    MultipartInfo,
    NotFound,
    ObjectInfo,
    PartInfo,
    Unavailable,
    UploadBroken,
    check_key,
    check_metadata,
    check_part,
    check_prefix,
)
from bridge.store.closing import Closing

_AFTER_SLASH = chr(ord("/") + 1)


@dataclass(frozen=True, slots=True)
class _Object:
    info: ObjectInfo
    content: bytes


@dataclass(slots=True)
class _Multipart:
    info: MultipartInfo
    parts: dict[int, tuple[PartInfo, bytes]] = field(default_factory=dict)


class MemoryStore:
    """An ObjectStore in memory; ``clock`` gives the commit times in Unix seconds."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._objects: dict[str, _Object] = {}
        self._keys: list[str] = []  # those of _objects, sorted
        self._multiparts: dict[str, _Multipart] = {}
        self._closed = False

    def put(self, key: str) -> MemoryUpload:
        check_key(key)
        self._check(key)
        return MemoryUpload(self, key)

    def get(self, key: str, offset: int = 0, length: int | None = None) -> MemoryDownload:
        self._check(key)
        with self._lock:
            found = self._find(key)
        end = None if length is None else offset + length
        return MemoryDownload(found.info, memoryview(found.content)[offset:end])

    def stat(self, key: str) -> ObjectInfo:
        self._check(key)
        with self._lock:
            return self._find(key).info

    def list(
        self, prefix: str, *, recursive: bool = False, cursor: str | None = None
    ) -> Iterator[ObjectInfo]:
        check_prefix(prefix)
        self._check(prefix)
        return self._walk(prefix, cursor, recursive=recursive)

    def _walk(self, prefix: str, last: str | None, *, recursive: bool) -> Iterator[ObjectInfo]:
        # Looked up anew at each step, so that changes meanwhile disturb nothing.
        while True:
            with self._lock:
                item = self._next(prefix, last, recursive=recursive)
            if item is None:
                return
            yield item
            last = item.key

    def _next(self, prefix: str, last: str | None, *, recursive: bool) -> ObjectInfo | None:
        if last is None or last < prefix:
            index = bisect_left(self._keys, prefix)
        elif last.endswith("/"):  # a common prefix: go on after everything in it
            index = bisect_left(self._keys, last[:-1] + _AFTER_SLASH)
        else:
            index = bisect_right(self._keys, last)
        if index == len(self._keys) or not self._keys[index].startswith(prefix):
            return None
        key = self._keys[index]
        head, slash, _ = key[len(prefix) :].partition("/")
        if slash and not recursive:
            return ObjectInfo(f"{prefix}{head}/", is_prefix=True)
        return self._objects[key].info

    def delete(self, key: str) -> None:
        self.delete_many((key,))

    def delete_many(self, keys: Sequence[str]) -> None:
        self._check()
        with self._lock:
            for key in keys:
                self._remove(key)

    def copy(self, src: str, dst: str, *, if_absent: bool = False) -> ObjectInfo:
        check_key(dst)
        self._check(src)
        if src == dst:
            raise InvalidKey("an object cannot be copied onto itself", key=src)
        with self._lock:
            found = self._find(src)
            return self._publish(dst, found.content, found.info.metadata or {}, if_absent=if_absent)

    def move(self, src: str, dst: str) -> None:
        check_key(dst)
        self._check(src)
        with self._lock:
            found = self._find(src)
            self._remove(src)
            self._keep(dst, _Object(replace(found.info, key=dst), found.content))

    def set_metadata(self, key: str, metadata: Metadata, version: str) -> None:
        check_metadata(metadata, key=key)
        self._check(key)
        with self._lock:
            found = self._find(key)
            if found.info.version != version:
                raise Changed("the object has another version by now", key=key)
            info = replace(found.info, metadata=dict(metadata))
            self._objects[key] = _Object(info, found.content)

    def create_multipart(self, key: str) -> str:
        check_key(key)
        self._check(key)
        upload_id = secrets.token_hex(16)
        info = MultipartInfo(key, upload_id, self._clock())
        with self._lock:
            self._multiparts[upload_id] = _Multipart(info)
        return upload_id

    def put_part(self, key: str, upload_id: str, number: int) -> MemoryPartUpload:
        check_part(number, key=key)
        self._check(key)
        with self._lock:
            self._find_multipart(key, upload_id)
        return MemoryPartUpload(self, key, upload_id, number)

    def list_parts(self, key: str, upload_id: str) -> Sequence[PartInfo]:
        self._check(key)
        with self._lock:
            parts = self._find_multipart(key, upload_id).parts
            return [parts[number][0] for number in sorted(parts)]

    def complete_multipart(
        self, key: str, upload_id: str, metadata: Metadata, *, if_absent: bool = False
    ) -> ObjectInfo:
        check_metadata(metadata, key=key)
        self._check(key)
        with self._lock:
            parts = self._find_multipart(key, upload_id).parts
            content = b"".join(parts[number][1] for number in sorted(parts))
            info = self._publish(key, content, metadata, if_absent=if_absent)
            del self._multiparts[upload_id]
            return info

    def abort_multipart(self, key: str, upload_id: str) -> None:
        self._check(key)
        with self._lock:
            found = self._multiparts.get(upload_id)
            if found is not None and found.info.key == key:
                del self._multiparts[upload_id]

    def list_multiparts(self, prefix: str) -> Sequence[MultipartInfo]:
        check_prefix(prefix)
        self._check(prefix)
        with self._lock:
            infos = [upload.info for upload in self._multiparts.values()]
        return [info for info in infos if info.key.startswith(prefix)]

    def probe(self) -> None:
        self._check()

    def close(self) -> None:
        self._closed = True

    def _check(self, key: str = "") -> None:
        if self._closed:
            raise Unavailable("the store is closed", key=key)
        deadline.check(key)

    def _find(self, key: str) -> _Object:
        try:
            return self._objects[key]
        except KeyError:
            raise NotFound("no such object", key=key) from None

    def _find_multipart(self, key: str, upload_id: str) -> _Multipart:
        found = self._multiparts.get(upload_id)
        if found is None or found.info.key != key:
            raise NotFound("no such multipart upload", key=key)
        return found

    def _publish(
        self, key: str, content: bytes, metadata: Metadata, *, if_absent: bool
    ) -> ObjectInfo:
        if if_absent and key in self._objects:
            raise Exists("an object is there", key=key)
        version = secrets.token_hex(16)
        info = ObjectInfo(key, len(content), self._clock(), version, dict(metadata))
        self._keep(key, _Object(info, content))
        return info

    def _keep(self, key: str, item: _Object) -> None:
        if key not in self._objects:
            insort(self._keys, key)
        self._objects[key] = item

    def _remove(self, key: str) -> None:
        if self._objects.pop(key, None) is not None:
            del self._keys[bisect_left(self._keys, key)]

    def commit(
        self, key: str, content: bytes, metadata: Metadata, *, if_absent: bool
    ) -> ObjectInfo:
        """Publish what a MemoryUpload has gathered."""
        check_metadata(metadata, key=key)
        self._check(key)
        with self._lock:
            return self._publish(key, content, metadata, if_absent=if_absent)

    def commit_part(self, key: str, upload_id: str, part: PartInfo, content: bytes) -> None:
        """Keep what a MemoryPartUpload has gathered."""
        check_metadata({"etag": part.etag}, key=key)
        self._check(key)
        with self._lock:
            self._find_multipart(key, upload_id).parts[part.number] = (part, content)


class _Gathering:
    """The bytes of an upload or a part, until it is over."""

    def __init__(self, store: MemoryStore, key: str) -> None:
        self._store = store
        self._key = key
        self._content: bytearray | None = bytearray()

    def write(self, data: Buffer) -> None:
        """Append ``data``."""
        self._gathered().extend(data)

    def abort(self) -> None:
        """Forget what was written."""
        self._content = None

    def _gathered(self) -> bytearray:
        if self._content is None:
            raise UploadBroken("the upload is over", key=self._key)
        return self._content


class MemoryUpload(_Gathering):
    """An object being gathered in memory."""

    _committed: ObjectInfo | None = None

    def commit(self, metadata: Metadata, *, if_absent: bool = False) -> ObjectInfo:
        """Publish it: see ``Upload.commit``."""
        if self._committed is not None:
            if if_absent:
                raise Exists("an object is there", key=self._key)
            return self._committed
        content = bytes(self._gathered())
        self._committed = self._store.commit(self._key, content, metadata, if_absent=if_absent)
        self._content = None
        return self._committed


class MemoryPartUpload(_Gathering):
    """A part being gathered in memory."""

    def __init__(self, store: MemoryStore, key: str, upload_id: str, number: int) -> None:
        super().__init__(store, key)
        self._upload_id = upload_id
        self._number = number

    def commit(self, etag: str) -> PartInfo:
        """Keep it: see ``PartUpload.commit``."""
        content = bytes(self._gathered())
        part = PartInfo(self._number, len(content), etag)
        self._store.commit_part(self._key, self._upload_id, part, content)
        return part


class MemoryDownload(Closing):
    """An object's bytes as they were when it was opened."""

    def __init__(self, info: ObjectInfo, content: memoryview) -> None:
        self.info = info
        self._content = content

    def readinto(self, buffer: memoryview) -> int:
        """Copy the next bytes: see ``Download.readinto``."""
        count = min(len(buffer), len(self._content))
        buffer[:count] = self._content[:count]
        self._content = self._content[count:]
        return count

    def close(self) -> None:
        """Let the bytes go."""
        self._content = memoryview(b"")
