"""Records: what is sealed beside each entry.

The record alone is trusted: reading a file needs nothing from its body's header.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from bridge.crypto import cbor
from bridge.crypto.errors import Tampered, UnknownFormat

RECORD_ROOM = 1_454
"""Bytes of plaintext that fit an object's metadata once sealed. A store takes 2,000 bytes, names
included: less one for the name, 1,999 characters of base64url are 1,499 bytes, and version, key
id, nonce and tag take 45."""

ID_SIZE = 16
DIGEST_SIZE = 32
FILE_KEY_SIZE = 16
PAYLOAD_NONCE_SIZE = 16

SIZE_LIMIT = 1 << 63
"""Every size is below this."""


class Kind(Enum):
    """What an entry is."""

    FILE = 0
    DIRECTORY = 1


@dataclass(frozen=True, slots=True)
class SpillRef:
    """Where the rest of a record lies: the id of its ``x/`` object, and that object's SHA-256."""

    key_id: bytes
    digest: bytes


@dataclass(frozen=True, slots=True)
class Record:
    """An entry's metadata.

    ``object_id``: 16 bytes, new with each version; for a directory, its id. ``size``: bytes of
    plaintext. ``mtime``, ``created``: Unix seconds, kept to the nanosecond (all that a float can
    tell, from April 1970 on). ``file_key``, ``payload_nonce``: 16 bytes each, empty for a
    directory. ``shown_name``: the name as first written where that is not its normalized form.
    ``properties``: dead properties by Clark name. ``body``: the id of an ``o/`` object that holds
    the content instead of the entry. ``checksums``: digests of the plaintext by algorithm.

    Its ``repr`` shows neither keys nor names, so that a log line cannot.
    """

    kind: Kind
    object_id: bytes
    size: int = 0
    mtime: float = 0.0
    created: float = 0.0
    etag: str = ""
    content_type: str = ""
    file_key: bytes = field(default=b"", repr=False)
    payload_nonce: bytes = field(default=b"", repr=False)
    shown_name: str = field(default="", repr=False)
    properties: Mapping[str, str] = field(default_factory=dict, repr=False)
    spill: SpillRef | None = None
    body: bytes = b""
    checksums: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    def encode(self) -> bytes:
        """As CBOR; what is empty or zero is left out, but for the kind.

        Raises ValueError for a record that would not decode again.
        """
        full: dict[int, object] = {
            0: self.kind.value,
            1: self.object_id,
            2: self.size,
            3: cbor.nanoseconds(self.mtime),
            4: cbor.nanoseconds(self.created),
            5: self.etag,
            6: self.content_type,
            7: self.file_key,
            8: self.payload_nonce,
            9: self.shown_name,
            10: dict(self.properties),
            11: [self.spill.key_id, self.spill.digest] if self.spill is not None else None,
            12: self.body,
            13: dict(self.checksums),
        }
        fault = self._fault()
        if fault:
            raise ValueError(fault)
        return cbor.encode({key: value for key, value in full.items() if value or key == 0})

    @classmethod
    def decode(cls, data: bytes) -> Record:
        """Raises UnknownFormat for a field this release does not know, Tampered for bad ones."""
        found = cbor.decode(data, _TYPES, "record")
        get = found.get
        kind = _KINDS.get(get(0, -1))
        if kind is None:
            raise UnknownFormat("an entry's kind is of a newer format")
        spill = get(11)
        record = cls(
            kind,
            get(1, b""),
            get(2, 0),
            cbor.seconds(get(3, 0)),
            cbor.seconds(get(4, 0)),
            get(5, ""),
            get(6, ""),
            get(7, b""),
            get(8, b""),
            get(9, ""),
            get(10, _NOTHING),
            None if spill is None else _spill_ref(spill),
            get(12, b""),
            get(13, _NOTHING),
        )
        fault = record._fault()
        if fault:
            raise Tampered(fault)
        return record

    def _fault(self) -> str:
        """What makes this record impossible; empty for a possible one."""
        if len(self.object_id) != ID_SIZE:
            return "a record's object id has the wrong size"
        if not 0 <= self.size < SIZE_LIMIT:
            return "a record's size is not possible"
        if self.kind is Kind.FILE:
            if len(self.file_key) != FILE_KEY_SIZE or len(self.payload_nonce) != PAYLOAD_NONCE_SIZE:
                return "a file's record holds no key"
            if self.body and len(self.body) != ID_SIZE:
                return "a record's body id has the wrong size"
        elif self.size or self.file_key or self.payload_nonce or self.body or self.checksums:
            return "a directory's record has content"
        if self.properties and not is_texts(self.properties):
            return "a record's properties have the wrong type"
        if self.checksums and not all(
            type(name) is str and type(digest) is bytes for name, digest in self.checksums.items()
        ):
            return "a record's checksums have the wrong type"
        return ""


def is_texts(found: Mapping[object, object] | Mapping[str, str]) -> bool:
    """Whether every key and every value is text."""
    return all(type(name) is str and type(value) is str for name, value in found.items())


_TYPES: Mapping[int, type] = {
    0: int,
    1: bytes,
    2: int,
    3: int,
    4: int,
    5: str,
    6: str,
    7: bytes,
    8: bytes,
    9: str,
    10: dict,
    11: list,
    12: bytes,
    13: dict,
}
_KINDS = {kind.value: kind for kind in Kind}
_NOTHING: Mapping[str, str] = {}


def _spill_ref(found: list[object]) -> SpillRef:
    match found:
        case [bytes(key_id), bytes(digest)] if (len(key_id), len(digest)) == (ID_SIZE, DIGEST_SIZE):
            return SpillRef(key_id, digest)
    raise Tampered("a record's spill is not possible")
