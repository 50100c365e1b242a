"""What Storj counts, and bills, for the objects of a store: segments and bytes of ciphertext.

The satellite sees only what uplink sends it. An object is cut into segments of 64 MiB; one of up
to 4,096 bytes is encrypted as a whole, which adds a tag of 16. A longer one is padded by at least
4 bytes, which say by how many, to blocks of 7,408, and each of them becomes one of 7,424, with
its tag: about 0.2 % more. An object without content has one segment of no bytes. So it is for
whatever was sent in one piece, as everything is that the bridge keeps; each part of a multipart
upload has segments of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bridge.store.api import ObjectInfo
from bridge.store.storj.store import SEGMENT

_INLINE = 4_096
"""Longest segment that the satellite keeps itself (uplink, ``maxInlineSize``)."""

_TAG = 16
"""Bytes that AES-GCM adds to what it encrypts."""

_BLOCK = 29 * 256
"""Bytes of an encrypted block, 29 erasure shares of 256 (uplink, ``encryptionParameters``)."""

_PADDING = 4
"""Least padding of a segment on storage nodes: its own length (storj.io/common, ``encryption``)."""


def segments(size: int) -> int:
    """How many segments an object of ``size`` bytes has."""
    return max(1, -(-size // SEGMENT))


def stored_bytes(size: int) -> int:
    """How many bytes Storj counts for an object of ``size`` bytes; its metadata are no part."""
    whole, rest = divmod(size, SEGMENT)
    return whole * _encrypted(SEGMENT) + _encrypted(rest)


def _encrypted(size: int) -> int:
    """Bytes of ciphertext of one segment."""
    if size == 0:
        return 0
    if size <= _INLINE:
        return size + _TAG
    return -(-(size + _PADDING) // (_BLOCK - _TAG)) * _BLOCK


@dataclass(frozen=True, slots=True)
class Account:
    """Objects, their bytes as the store gives them, and what the satellite counts for them."""

    objects: int
    bytes: int
    segments: int
    stored_bytes: int

    @classmethod
    def of(cls, infos: Iterable[ObjectInfo]) -> Account:
        """The account of these objects."""
        objects = total = cut = stored = 0
        for info in infos:
            objects += 1
            total += info.size
            cut += segments(info.size)
            stored += stored_bytes(info.size)
        return cls(objects, total, cut, stored)
