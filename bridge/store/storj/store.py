"""A bucket on Storj as an object store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bridge.store.api import (
    InvalidKey,
    Metadata,
    MultipartInfo,
    NotFound,
    ObjectInfo,
    PartInfo,
    check_key,
    check_metadata,
    check_part,
    check_prefix,
)
from bridge.store.storj.binding import Bucket
from bridge.store.storj.download import StorjDownload
from bridge.store.storj.upload import PartStream, StorjUpload

SEGMENT = 64 << 20
"""Bytes of a large object that are sent, paid for and held in memory together."""

PAGE = 1_000
"""Entries the satellite sends at once, at most."""

_DELETED_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class StorjOptions:
    """How the network is used.

    ``user_agent``: product and version (RFC 9110, section 10.1.5) to which Storj attributes what is
    stored. ``home``: the prefix of what this program keeps, which the grant may be limited to.
    ``segments_at_once``: segments of one upload that are sent at the same time, while there are
    spare ones (``binding.limit_memory``); so many, and the next one, are held in memory.
    ``call_seconds``: how long one call may last, and how long a transfer may stand still.
    """

    user_agent: str
    home: str = ""
    segments_at_once: int = 5
    call_seconds: float = 60.0


class StorjStore:
    """An ObjectStore in one bucket, reached by an access grant.

    Objects are listed in the order of their encrypted keys. Nothing is asked of the network before
    the first call. Raises Forbidden for what is not an access grant.
    """

    def __init__(self, grant: str, bucket: str, options: StorjOptions) -> None:
        self._home = options.home
        self._bucket = Bucket(
            grant,
            bucket,
            user_agent=options.user_agent,
            segments_at_once=options.segments_at_once,
            seconds=options.call_seconds,
        )

    def put(self, key: str) -> StorjUpload:
        check_key(key)
        self._bucket.time(key)
        return StorjUpload(self._bucket, key)

    def get(self, key: str, offset: int = 0, length: int | None = None) -> StorjDownload:
        check_key(key)
        return StorjDownload(self._bucket, key, offset, length)

    def stat(self, key: str) -> ObjectInfo:
        check_key(key)
        return self._bucket.stat(key)

    def list(
        self, prefix: str, *, recursive: bool = False, cursor: str | None = None
    ) -> Iterator[ObjectInfo]:
        check_prefix(prefix)
        self._bucket.time(prefix)
        return self._walk(prefix, cursor, recursive=recursive)

    def _walk(self, prefix: str, last: str | None, *, recursive: bool) -> Iterator[ObjectInfo]:
        cursor = b"" if last is None else self._bucket.cursor(prefix, last)
        while True:
            entries, cursor = self._bucket.page(prefix, cursor, recursive=recursive, limit=PAGE)
            yield from entries
            if not cursor:
                return

    def delete(self, key: str) -> None:
        check_key(key)
        self._bucket.delete((key,))

    def delete_many(self, keys: Sequence[str]) -> None:
        for key in keys:
            check_key(key)
        for start in range(0, len(keys), _DELETED_AT_ONCE):
            self._bucket.delete(keys[start : start + _DELETED_AT_ONCE])

    def copy(self, src: str, dst: str, *, if_absent: bool = False) -> ObjectInfo:
        check_key(src)
        check_key(dst)
        if src == dst:
            raise InvalidKey("an object cannot be copied onto itself", key=src)
        return self._bucket.copy(src, dst, if_absent=if_absent)

    def move(self, src: str, dst: str) -> None:
        check_key(src)
        check_key(dst)
        if src == dst:
            self._bucket.stat(src)
        else:
            self._bucket.move(src, dst)

    def set_metadata(self, key: str, metadata: Metadata, version: str) -> None:
        check_key(key)
        check_metadata(metadata, key=key)
        self._bucket.set_metadata(key, metadata, version)

    def create_multipart(self, key: str) -> str:
        check_key(key)
        return self._bucket.create_multipart(key)

    def put_part(self, key: str, upload_id: str, number: int) -> PartStream:
        check_part(number, key=key)
        return PartStream(self._bucket, key, upload_id, number)

    def list_parts(self, key: str, upload_id: str) -> Sequence[PartInfo]:
        return self._bucket.list_parts(key, upload_id)

    def complete_multipart(
        self, key: str, upload_id: str, metadata: Metadata, *, if_absent: bool = False
    ) -> ObjectInfo:
        check_metadata(metadata, key=key)
        return self._bucket.complete_multipart(key, upload_id, metadata, if_absent=if_absent)

    def abort_multipart(self, key: str, upload_id: str) -> None:
        self._bucket.abort_multipart(key, upload_id)

    def list_multiparts(self, prefix: str) -> Sequence[MultipartInfo]:
        check_prefix(prefix)
        return self._bucket.list_multiparts(prefix)

    def probe(self) -> None:
        try:
            self._bucket.stat(f"{self._home}probe")
        except NotFound:
            return

    def close(self) -> None:
        self._bucket.close()
