"""What the tests of this folder seal: a vault's keys, records and bodies."""

from __future__ import annotations

import hashlib

from bridge.crypto.age import generate_identity
from bridge.crypto.body import BodySealer
from bridge.crypto.keyring import Keyring
from bridge.crypto.record import Kind, Record
from bridge.crypto.vault import VaultKeys

SIZES = (0, 1, 65_535, 65_536, 65_537, 131_071, 131_072, 131_073, 200_000)
"""Sizes of content around the boundaries of chunks."""


def new_keyring(tenant_id: str = "tenant") -> Keyring:
    _, recipient = generate_identity()
    return Keyring.generate(tenant_id, recipient)


def new_vault(tenant_id: str = "tenant") -> VaultKeys:
    return VaultKeys(new_keyring(tenant_id))


def content(size: int) -> bytes:
    """``size`` bytes that look random and are always the same."""
    return hashlib.shake_128(b"content").digest(size)


def seal(keys: VaultKeys, plain: bytes) -> tuple[BodySealer, bytes]:
    """A whole body as it is stored, and the sealer that made it."""
    sealer = keys.new_body()
    return sealer, b"".join((sealer.header, sealer.update(plain), sealer.finish()))


def a_file(**changes: object) -> Record:
    fields: dict[str, object] = {
        "kind": Kind.FILE,
        "object_id": b"o" * 16,
        "size": 12_345,
        "mtime": 1_763_700_000.25,
        "created": 1_763_600_000.0,
        "etag": "0123456789abcdef0123456789abcdef-1",
        "content_type": "text/plain",
        "file_key": b"k" * 16,
        "payload_nonce": b"n" * 16,
    }
    return Record(**{**fields, **changes})  # type: ignore[arg-type]
