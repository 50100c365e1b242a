"""Whole objects in one call, for tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bridge.store.api import ObjectInfo, ObjectStore


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
