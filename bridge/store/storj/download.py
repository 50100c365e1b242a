"""Content on its way from Storj."""

from __future__ import annotations

import threading

from bridge.store.api import ObjectInfo, Unavailable
from bridge.store.closing import Closing
from bridge.store.storj.binding import Bucket


class StorjDownload(Closing):
    """A range of an object, of the version there was when it was opened."""

    def __init__(self, bucket: Bucket, key: str, offset: int, length: int | None) -> None:
        self._bucket = bucket
        self._key = key
        self._lock = threading.Lock()
        self._handle: int | None = None
        self._handle, self._info = bucket.get(key, offset, length)

    @property
    def info(self) -> ObjectInfo:
        return self._info

    def readinto(self, buffer: memoryview) -> int:
        with self._lock:
            if self._handle is None:
                raise Unavailable("the download is closed", key=self._key)
            return self._bucket.read(self._handle, buffer, self._key)

    def close(self) -> None:
        handle = self._handle
        if handle is not None:
            self._bucket.library.end("stop", handle)  # a read that waits for the network fails now
        with self._lock:
            handle, self._handle = self._handle, None
            if handle is not None:
                self._bucket.library.end("close_download", handle)

    def __del__(self) -> None:
        # A reader that was dropped holds connections on the other side, which nobody else knows.
        self.close()
