"""Small objects, read whole."""

from __future__ import annotations

from bridge.store.api import ObjectStore


def read_whole(store: ObjectStore, key: str, most: int | None = None) -> bytes:
    """The content of an object, or its first ``most`` bytes. Raises NotFound, StoreError."""
    with store.get(key, 0, most) as download:
        size = download.info.size
        content = bytearray(size if most is None else min(size, most))
        view, filled = memoryview(content), 0
        while filled < len(content) and (count := download.readinto(view[filled:])):
            filled += count
    return bytes(content[:filled])
