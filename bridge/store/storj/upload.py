"""Content on its way to Storj."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import NoReturn

from bridge.store import deadline
from bridge.store.api import (
    Buffer,
    Metadata,
    NotFound,
    ObjectInfo,
    PartInfo,
    StoreError,
    Unavailable,
    UploadBroken,
    check_metadata,
)
from bridge.store.storj.binding import Bucket

AT_ONCE = 1 << 20
"""Bytes up to which an object is kept until its commit, and then sent in one call.

That costs the fewest requests, says at the commit whether the key must be free, and can be done
again. What is longer streams into the one part of a multipart upload, whose commit says it too:
an upload of Storj's own must know when it begins.
"""

_ABORT_SECONDS = 5.0
"""Longest an abort asks the satellite to forget an upload; after a day it forgets by itself."""


def _end_by(error: StoreError) -> NoReturn:
    """Raise what ``error`` means for the upload that it has ended.

    A limit or a missing right means itself. What may pass is UploadBroken, since the content is
    lost and calling again in vain.
    """
    if isinstance(error, (Unavailable, NotFound)) and not isinstance(error, UploadBroken):
        raise UploadBroken(f"the upload broke: {error}", key=error.key) from error
    raise error


class PartStream:
    """A part being sent. A write or commit that fails ends it; ``abort`` may come from anywhere."""

    def __init__(self, bucket: Bucket, key: str, upload_id: str, number: int) -> None:
        self._bucket = bucket
        self._key = key
        self._number = number
        self._size = 0
        self._lock = threading.Lock()
        self._part: int | None = bucket.put_part(key, upload_id, number)
        self._aborted = False

    def write(self, data: Buffer) -> None:
        with self._lock:
            part = self._open()
            try:
                self._bucket.write(part, data, self._key)
            except StoreError as error:
                self._throw_away()
                _end_by(error)
            self._size += len(data)

    def commit(self, etag: str) -> PartInfo:
        with self._lock:
            part = self._open()
            try:
                self._bucket.commit_part(part, etag, self._key)
            except NotFound:
                raise  # the whole upload is gone
            except StoreError as error:
                _end_by(error)
            finally:
                # A call that was refused before it was made has ended nothing; else there is
                # nothing left to end, and no handle is ever used twice.
                self._throw_away()
        return PartInfo(self._number, self._size, etag)

    def abort(self) -> None:
        self._aborted = True
        part = self._part
        if part is not None:
            self._bucket.library.end("stop", part)  # a write that waits for the network fails now
        with self._lock:
            self._throw_away()

    def __del__(self) -> None:
        # A part that was dropped holds memory and connections on the other side.
        if hasattr(self, "_part"):
            self._throw_away()

    def _open(self) -> int:
        if self._part is None or self._aborted:
            raise UploadBroken("the upload is over", key=self._key)
        return self._part

    def _throw_away(self) -> None:
        part, self._part = self._part, None
        if part is not None:
            self._bucket.library.end("abort_part", part)


class StorjUpload:
    """An object being written. See AT_ONCE."""

    def __init__(self, bucket: Bucket, key: str) -> None:
        self._bucket = bucket
        self._key = key
        self._lock = threading.Lock()
        self._content = bytearray()
        self._size = 0
        self._upload_id: str | None = None
        self._stream: PartStream | None = None
        self._over = False
        self._broken = False
        self._aborted = False

    def write(self, data: Buffer) -> None:
        with self._lock:
            self._check()
            self._size += len(data)
            try:
                self._bucket.time(self._key)
                if self._stream is None and self._size <= AT_ONCE:
                    self._content += data
                    return
                if self._stream is None:
                    self._begin()
                assert self._stream is not None
                self._stream.write(data)
            except StoreError as error:
                self._broken = True
                _end_by(error)

    def _begin(self) -> None:
        self._upload_id = self._bucket.create_multipart(self._key)
        self._go_on()
        self._stream = PartStream(self._bucket, self._key, self._upload_id, 1)
        self._go_on()  # whoever aborts from here on finds the stream, and stops it
        content, self._content = self._content, bytearray()
        if content:
            self._stream.write(content)

    def _go_on(self) -> None:
        if self._aborted:
            raise UploadBroken("the upload is over", key=self._key)

    def commit(self, metadata: Metadata, *, if_absent: bool = False) -> ObjectInfo:
        with self._lock:
            self._check()
            check_metadata(metadata, key=self._key)
            if self._upload_id is None:
                info = self._bucket.put(self._key, self._content, metadata, if_absent=if_absent)
            else:
                info = self._complete(metadata, if_absent=if_absent)
            self._over = True
            self._content = bytearray()
            return info

    def _complete(self, metadata: Metadata, *, if_absent: bool) -> ObjectInfo:
        assert self._upload_id is not None
        if self._stream is not None:
            stream, self._stream = self._stream, None
            try:
                stream.commit("")
            except StoreError as error:
                self._broken = True
                _end_by(error)
        try:
            return self._bucket.complete_multipart(
                self._key, self._upload_id, metadata, if_absent=if_absent
            )
        except NotFound as error:
            self._broken = True
            raise UploadBroken("the satellite forgot the upload", key=self._key) from error

    def abort(self) -> None:
        self._aborted = True
        stream = self._stream
        if stream is not None:
            stream.abort()
        with self._lock:
            if self._over:
                return
            self._over = self._broken = True
            self._content = bytearray()
            upload_id, self._stream = self._upload_id, None
        if upload_id is not None:
            with suppress(StoreError), deadline.deadline(_ABORT_SECONDS):
                self._bucket.abort_multipart(self._key, upload_id)

    def _check(self) -> None:
        if self._broken or self._over:
            raise UploadBroken("the upload is over", key=self._key)
