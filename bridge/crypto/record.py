"""Records: what is sealed beside each entry. Plaintext form: CBOR (RFC 8949), small integer keys.

The record alone is trusted: reading a file needs nothing from its body's header.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import cbor2

from bridge.crypto.errors import Tampered, UnknownFormat

ROOM = 1_455
"""Bytes of plaintext that fit an object's metadata (2,000 bytes of text) once sealed."""

ID_SIZE = 16
FILE_KEY_SIZE = 16
PAYLOAD_NONCE_SIZE = 16

_NANOSECONDS = 1_000_000_000


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
    plaintext. ``mtime``, ``created``: Unix seconds, kept to the nanosecond as far as a float goes.
    ``file_key``, ``payload_nonce``: 16 bytes each, empty for a directory. ``shown_name``: the name
    as first written where that is not its normalized form. ``properties``: dead properties by
    Clark name. ``body``: the id of an ``o/`` object that holds the content instead of the entry.
    ``checksums``: digests of the plaintext by algorithm.
    """

    kind: Kind
    object_id: bytes
    size: int = 0
    mtime: float = 0.0
    created: float = 0.0
    etag: str = ""
    content_type: str = ""
    file_key: bytes = b""
    payload_nonce: bytes = b""
    shown_name: str = ""
    properties: Mapping[str, str] = field(default_factory=dict)
    spill: SpillRef | None = None
    body: bytes = b""
    checksums: Mapping[str, bytes] = field(default_factory=dict)

    def encode(self) -> bytes:
        """As canonical CBOR; what is empty is left out."""
        full: dict[int, object] = {
            0: self.kind.value,
            1: self.object_id,
            2: self.size,
            3: round(self.mtime * _NANOSECONDS),
            4: round(self.created * _NANOSECONDS),
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
        return cbor2.dumps(
            {key: value for key, value in full.items() if value or key == 0}, canonical=True
        )

    @classmethod
    def decode(cls, data: bytes) -> Record:
        """Raises UnknownFormat for a field this release does not know, Tampered for bad types."""
        try:
            found = cbor2.loads(data)
        except (cbor2.CBORDecodeError, ValueError):
            raise Tampered("a record is not CBOR") from None
        if not isinstance(found, dict):
            raise Tampered("a record is not a map")
        for key, value in found.items():
            known = _TYPES.get(key)
            if known is None:
                raise UnknownFormat(f"a record has a field {key!r} of a newer format")
            if type(value) is not known:
                raise Tampered(f"field {key} of a record has the wrong type")
        return cls._from_fields(found)

    @classmethod
    def _from_fields(cls, found: dict[int, Any]) -> Record:
        get = found.get
        try:
            kind = Kind(get(0))
        except ValueError:
            raise UnknownFormat(f"an entry of kind {get(0)!r} is of a newer format") from None
        spill = get(11)
        record = cls(
            kind=kind,
            object_id=get(1, b""),
            size=get(2, 0),
            mtime=get(3, 0) / _NANOSECONDS,
            created=get(4, 0) / _NANOSECONDS,
            etag=get(5, ""),
            content_type=get(6, ""),
            file_key=get(7, b""),
            payload_nonce=get(8, b""),
            shown_name=get(9, ""),
            properties=get(10) or _NONE,
            spill=_spill_ref(spill) if spill is not None else None,
            body=get(12, b""),
            checksums=get(13) or _NO_SUMS,
        )
        record._check()
        return record

    def _check(self) -> None:
        if len(self.object_id) != ID_SIZE or self.size < 0 or len(self.body) not in (0, ID_SIZE):
            raise Tampered("a record's ids or size are not possible")
        if self.kind is Kind.FILE and (
            len(self.file_key) != FILE_KEY_SIZE or len(self.payload_nonce) != PAYLOAD_NONCE_SIZE
        ):
            raise Tampered("a file's record holds no key")
        for texts, kind in ((self.properties, str), (self.checksums, bytes)):
            for name, value in texts.items():
                if type(name) is not str or type(value) is not kind:
                    raise Tampered("a record's properties or checksums have the wrong type")


_TYPES: Mapping[object, type] = {
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
_NONE: Mapping[str, str] = {}
_NO_SUMS: Mapping[str, bytes] = {}


def _spill_ref(found: list[object]) -> SpillRef:
    match found:
        case [bytes(key_id), bytes(digest)] if len(key_id) == ID_SIZE and len(digest) == 32:
            return SpillRef(key_id, digest)
    raise Tampered("a record's spill is not possible")
