"""Whole objects in one call, and many calls at once, for tests."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from bridge.store.api import (
    Exists,
    NotFound,
    ObjectInfo,
    ObjectStore,
    PartInfo,
    StoreError,
    Unavailable,
)

T = TypeVar("T")


def write(
    store: ObjectStore,
    key: str,
    content: bytes = b"",
    metadata: Mapping[str, str] | None = None,
    *,
    if_absent: bool = False,
) -> ObjectInfo:
    """Put an object; on an error nothing of it is left."""
    upload = store.put(key)
    try:
        upload.write(content)
        return upload.commit(metadata or {}, if_absent=if_absent)
    except BaseException:
        upload.abort()
        raise


def read(store: ObjectStore, key: str, offset: int = 0, length: int | None = None) -> bytes:
    """The bytes of a range, read with a buffer of a size that divides nothing."""
    content = bytearray()
    buffer = memoryview(bytearray(65_521))
    with store.get(key, offset, length) as download:
        while count := download.readinto(buffer):
            content += buffer[:count]
    return bytes(content)


def keys(listing: Iterable[ObjectInfo]) -> list[str]:
    """The keys of a listing, in its order."""
    return [info.key for info in listing]


def put_part(
    store: ObjectStore, key: str, upload_id: str, number: int, content: bytes, etag: str = "etag"
) -> PartInfo:
    """Write and commit one part."""
    part = store.put_part(key, upload_id, number)
    part.write(content)
    return part.commit(etag)


def exists(store: ObjectStore, key: str) -> bool:
    """Whether an object is at ``key``."""
    try:
        store.stat(key)
    except NotFound:
        return False
    return True


def race(count: int, work: Callable[[int], T]) -> list[T | StoreError]:
    """Do ``work(0)`` to ``work(count - 1)`` at once; what each returned or raised."""
    barrier = threading.Barrier(count)

    def one(number: int) -> T | StoreError:
        barrier.wait()
        try:
            return work(number)
        except StoreError as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def winners(results: list[ObjectInfo | StoreError], *, exclusive: bool) -> list[ObjectInfo]:
    """Those of a race that were not told Exists; any other error fails the test.

    A store that is not ``exclusive`` may also be Unavailable for a moment, where racers got in each
    other's way.
    """
    lost = (Exists,) if exclusive else (Exists, Unavailable)
    assert all(isinstance(result, (ObjectInfo, *lost)) for result in results), results
    won = [result for result in results if isinstance(result, ObjectInfo)]
    assert len(won) == 1 or (won and not exclusive)
    return won
