"""A wrapper that tries again what failed for now.

RateLimited and Unavailable are retried with exponential pauses and jitter, for a limited
time and never beyond the ambient deadline. Because the first attempt may have taken effect
though its answer was lost, the caller must expect:

- Exists from a commit, copy or completion with ``if_absent``: the object there may be its own
- NotFound from a move or completion: the first attempt may have moved or completed it
- a multipart upload that nobody knows of, from ``create_multipart``; ``list_multiparts`` shows it

and look at the target to tell. ``write`` is never retried: what of it has arrived is unknown.
Nor is an upload whose content the store has lost (UploadBroken), unless it has none: an empty
object is begun anew. A download that fails midway is opened again where it stopped, if it is
still the same version.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from bridge.store import deadline
from bridge.store.api import (
    Buffer,
    Changed,
    Download,
    Metadata,
    ObjectInfo,
    ObjectStore,
    RateLimited,
    Unavailable,
    Upload,
    UploadBroken,
)
from bridge.store.closing import Closing
from bridge.store.wrapping import Operation, WrappedStore, WrappedUpload

T = TypeVar("T")

_ONCE: frozenset[Operation] = frozenset({"write", "write_part"})


class RetryingStore(WrappedStore):
    """``inner``, tried again for up to ``limit`` seconds a call.

    The n-th pause is ``first * 2**n`` seconds, at most ``longest``, of which up to half is left
    out at random, so that many callers do not come back at once.
    """

    def __init__(
        self,
        inner: ObjectStore,
        *,
        limit: float = 20.0,
        first: float = 0.1,
        longest: float = 5.0,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        super().__init__(inner)
        self._limit = limit
        self._first = first
        self._longest = longest
        self._sleep = sleep
        self._clock = clock
        self._chance = chance
        self._closed = False

    def around(self, operation: Operation, key: str, call: Callable[[], T]) -> T:
        return call() if operation in _ONCE else self.persist(call)

    def persist(self, call: Callable[[], T], again: Callable[[], object] | None = None) -> T:
        """The outcome of ``call``; before each further attempt ``again`` prepares it."""
        ends = self._clock() + self._limit
        pause = self._first
        failed = False
        while True:
            try:
                if failed and again is not None:
                    again()
                return call()
            except UploadBroken:
                raise
            except (RateLimited, Unavailable):
                failed = True
                wait = pause * (1 - self._chance() / 2)
                left = deadline.remaining()
                in_time = left is None or wait < left
                if self._closed or not in_time or self._clock() + wait > ends:
                    raise
            self._sleep(wait)
            pause = min(2 * pause, self._longest)

    def put(self, key: str) -> Upload:
        def begin() -> Upload:
            return self._inner.put(key)

        return _RetryingUpload(self, self.around("put", key, begin), key, begin)

    def get(self, key: str, offset: int = 0, length: int | None = None) -> Download:
        download = self.persist(lambda: self._inner.get(key, offset, length))
        return _ResumingDownload(self, self._inner, download, offset, length)

    def list(
        self, prefix: str, *, recursive: bool = False, cursor: str | None = None
    ) -> Iterator[ObjectInfo]:
        listing = self.persist(lambda: self._inner.list(prefix, recursive=recursive, cursor=cursor))
        return self._resuming(listing, prefix, cursor, recursive=recursive)

    def _resuming(
        self, listing: Iterator[ObjectInfo], prefix: str, last: str | None, *, recursive: bool
    ) -> Iterator[ObjectInfo]:
        def go_on() -> ObjectInfo | None:
            nonlocal listing
            listing = self._inner.list(prefix, recursive=recursive, cursor=last)
            return next(listing, None)

        while True:
            try:
                for info in listing:
                    yield info
                    last = info.key
                return
            except (RateLimited, Unavailable):
                found = self.persist(go_on)
            if found is None:
                return
            yield found
            last = found.key

    def close(self) -> None:
        self._closed = True
        super().close()


class _RetryingUpload(WrappedUpload):
    """An upload that is begun anew when it broke and nothing was written to it yet."""

    def __init__(
        self, store: RetryingStore, inner: Upload, key: str, begin: Callable[[], Upload]
    ) -> None:
        super().__init__(store, inner, key)
        self._begin = begin
        self._renewable = True

    def write(self, data: Buffer) -> None:
        self._renewable = False
        super().write(data)

    def commit(self, metadata: Metadata, *, if_absent: bool = False) -> ObjectInfo:
        if not self._renewable:
            return super().commit(metadata, if_absent=if_absent)

        def attempt() -> ObjectInfo:
            try:
                return self._inner.commit(metadata, if_absent=if_absent)
            except UploadBroken as error:
                if self._renewable:
                    self._inner = self._begin()
                    raise Unavailable(str(error), key=self._key) from error
                raise

        return self._store.around("commit", self._key, attempt)

    def abort(self) -> None:
        self._renewable = False
        super().abort()


class _ResumingDownload(Closing):
    """A download that is opened anew where it broke off. See ``Download``."""

    def __init__(
        self,
        retrying: RetryingStore,
        store: ObjectStore,
        download: Download,
        offset: int,
        length: int | None,
    ) -> None:
        self.info = download.info
        self._retrying = retrying
        self._store = store
        self._download = download
        self._offset = offset
        self._left = length

    def readinto(self, buffer: memoryview) -> int:
        """Read on; raises Changed when it broke off and the version is gone."""
        count = self._retrying.persist(lambda: self._download.readinto(buffer), self._reopen)
        self._offset += count
        if self._left is not None:
            self._left -= count
        return count

    def _reopen(self) -> None:
        key = self.info.key
        self._download.close()
        self._download = self._store.get(key, self._offset, self._left)
        if self._download.info.version != self.info.version:
            self._download.close()
            raise Changed("the object was replaced while it was read", key=key)

    def close(self) -> None:
        """See ``Download.close``."""
        self._download.close()
