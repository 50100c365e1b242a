"""Small objects, read whole."""

from __future__ import annotations

from bridge.store.api import Download, ObjectStore


def read_whole(store: ObjectStore, key: str, most: int | None = None) -> bytes:
    """The content of an object, or its first ``most`` bytes. Raises NotFound, StoreError."""
    with store.get(key, 0, most) as download:
        size = download.info.size
        return bytes(read_next(download, size if most is None else min(size, most)))


def read_next(download: Download, size: int) -> memoryview:
    """The next ``size`` bytes of a download; less only at its end. Raises StoreError."""
    content = memoryview(bytearray(size))
    filled = 0
    while filled < size and (count := download.readinto(content[filled:])):
        filled += count
    return content[:filled]
