"""Rebuilds a file's lost record from its body.

The body's header holds the file key under the tenant's own key; the stanza for the recovery
recipient is never used, since anyone who knows that public recipient could forge one. Every
chunk is verified before the record is believed.
"""

from __future__ import annotations

from bridge.crypto.body import CHUNK, HEADER_SIZE, SEALED_CHUNK, plain_size
from bridge.crypto.errors import CryptoError, Unconfirmed
from bridge.crypto.record import Kind, Record
from bridge.files.layout import RECORD
from bridge.files.vault import Vault
from bridge.store.api import Changed, Damaged, NotFound, ObjectInfo
from bridge.store.whole import read_next

_BLOCK = 16 * SEALED_CHUNK


def rebuild_record(vault: Vault, info: ObjectInfo) -> bool:
    """Write a new record for the file at ``info``; False when its body does not verify either."""
    try:
        with vault.store.get(info.key) as download:
            header = bytes(read_next(download, HEADER_SIZE))
            size = plain_size(info.size - HEADER_SIZE)
            file_key, nonce = vault.keys.open_header(header)
            opener = vault.keys.body_opener(file_key, nonce, size)
            for first in range(0, max(1, -(-size // CHUNK)), _BLOCK // SEALED_CHUNK):
                opener.open(read_next(download, _BLOCK), first)
        now = vault.clock()
        record = Record(
            kind=Kind.FILE,
            object_id=vault.new_id(),
            size=size,
            mtime=info.modified or now,
            created=info.modified or now,
            etag=vault.new_etag(),
            file_key=file_key,
            payload_nonce=nonce,
        )
        sealed = vault.keys.seal_record(record)
        vault.store.set_metadata(info.key, {RECORD: sealed}, info.version)
    except Unconfirmed:
        raise
    except (CryptoError, Damaged, NotFound, Changed):
        return False
    return True
