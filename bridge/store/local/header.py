"""The header of an object's file: what the store knows of it, safe against a torn write.

The first 8 KiB of a file are two slots of 4 KiB, and the content follows. A slot holds a
sequence number, version, size, time and metadata under a checksum; the valid slot with the
higher number counts. New metadata goes into the other slot, so that a write cut anywhere
leaves the old. Slots begin on blocks of 4 KiB, so that writing one touches no sector of the other.

A slot: magic (8 bytes), CRC-32 of the rest (4), length of the rest (2), sequence number (8), size
(8), time (8, a double), version (16); then, for each name and value, its length (2) and its UTF-8.
All numbers are big-endian.
"""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

from bridge.store.api import Metadata, ObjectInfo, TooLarge

SLOT = 4096
CONTENT = 2 * SLOT
"""Where the content begins."""

_MAGIC = b"sbobj 1\n"
_HEAD = struct.Struct(">8sIH")
_BODY = struct.Struct(">QQd16s")
_BOTH = struct.Struct(_HEAD.format + _BODY.format[1:])
_LENGTH = struct.Struct(">H")


class Slot(NamedTuple):
    """One valid slot. ``version`` is 16 random bytes."""

    sequence: int
    size: int
    modified: float
    version: bytes
    metadata: Metadata

    def pack(self, key: str) -> bytes:
        """The slot's bytes, less than SLOT. Raises TooLarge when there are too many names."""
        fields = [_BODY.pack(self.sequence, self.size, self.modified, self.version)]
        for name, value in self.metadata.items():
            for text in (name.encode(), value.encode()):
                fields.append(_LENGTH.pack(len(text)))
                fields.append(text)
        body = b"".join(fields)
        if len(body) > SLOT - _HEAD.size:
            raise TooLarge(f"{len(self.metadata)} names of metadata are too many", key=key)
        return _HEAD.pack(_MAGIC, zlib.crc32(body), len(body)) + body

    def info(self, key: str) -> ObjectInfo:
        """What to tell of the object at ``key``."""
        return ObjectInfo(key, self.size, self.modified, self.version.hex(), self.metadata)


def fresh(slot: Slot, key: str) -> bytes:
    """The whole header of a new file; full length, so that later updates need no new space."""
    return slot.pack(key).ljust(CONTENT, b"\0")


def read(header: bytes, length: int) -> Slot | None:
    """The slot that counts in a file of ``length`` bytes, or None when the file is damaged."""
    slot = _unpack(header, 0)
    second = _unpack(header, SLOT)
    if slot is None or (second is not None and second.sequence > slot.sequence):
        slot = second
    return slot if slot is not None and slot.size + CONTENT == length else None


def other(slot: Slot) -> int:
    """Where the slot after ``slot`` is written: even numbers first, odd ones second."""
    return SLOT * ((slot.sequence + 1) % 2)


def _unpack(header: bytes, start: int) -> Slot | None:
    if not header.startswith(_MAGIC, start):
        return None
    try:
        _, checksum, length, sequence, size, modified, version = _BOTH.unpack_from(header, start)
        at = start + _HEAD.size
        end = at + length
        if zlib.crc32(header[at:end]) != checksum:
            return None
        at += _BODY.size
        texts = []
        while at < end:
            (length,) = _LENGTH.unpack_from(header, at)
            at += 2 + length
            texts.append(header[at - length : at].decode())
        metadata = dict(zip(texts[::2], texts[1::2], strict=True))
    except (struct.error, ValueError):
        return None  # its checksum is right, but no such slot is ever written
    return Slot(sequence, size, modified, version, metadata)
