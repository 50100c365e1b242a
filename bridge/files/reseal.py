"""Sealing one entry anew, under the active key, while an older one is on its way out.

Whoever moves or copies an entry in a rotation sees to this first: nothing under a retired key may
come to where a pass (``resealer``) has looked already.
"""

from __future__ import annotations

from bridge.crypto.errors import CryptoError, Tampered, Unconfirmed
from bridge.crypto.keyset import kid_of_record
from bridge.crypto.record import Record
from bridge.files.errors import DamagedFile
from bridge.files.layout import RECORD, id_bytes
from bridge.files.vault import Vault
from bridge.files.walk import Place
from bridge.store.api import ObjectInfo


def entry_place(vault: Vault, key: str) -> Place:
    """The place of the entry at ``key``, for its lease; ``norm`` is empty for a foreign name."""
    _, directory_text, sealed = key.rsplit("/", 2)
    directory = id_bytes(directory_text) or b""
    try:
        norm = vault.keys.names.open(directory, sealed)
    except CryptoError:
        norm = ""
    return Place((directory,), (norm,), norm, sealed, key)


def says_retired(vault: Vault, info: ObjectInfo) -> bool:
    """Whether the record of ``info`` is under a retired key. Raises Unconfirmed."""
    sealed = None if info.metadata is None else info.metadata.get(RECORD)
    try:
        return sealed is not None and kid_of_record(sealed) in vault.keys.sealing().retired
    except Tampered:
        return False


def is_retired(vault: Vault, key: str) -> bool:
    """Whether the record at ``key`` is under a retired key; asks the store in a rotation only.

    Raises NotFound, Unconfirmed.
    """
    return bool(vault.keys.sealing().retired) and says_retired(vault, vault.store.stat(key))


def reseal(vault: Vault, key: str) -> None:
    """Before what is at ``key`` is moved or copied: see that it is under the active key.

    The caller holds its lease. The tenant's own store does it, whoever asks. Raises NotFound,
    Unconfirmed.
    """
    if not vault.keys.sealing().retired:
        return
    vault = vault.acting_by(vault.store)
    info = vault.store.stat(key)
    record = vault.nodes.from_info("", info).record
    if record is not None and says_retired(vault, info):
        vault.extras.discard(record, kept=seal_anew(vault, info, record))


def seal_anew(vault: Vault, info: ObjectInfo, record: Record) -> Record:
    """Seal the record at ``info`` under the active key; the caller discards what it names no more.

    Properties that are lost already stay so: the rest is not lost with them.
    """
    try:
        fresh, sealed = vault.extras.seal(record, vault.extras.properties(record))
    except Unconfirmed:
        raise
    except (DamagedFile, CryptoError):
        fresh, sealed = record, vault.keys.seal_record(record)
    vault.store.set_metadata(info.key, {RECORD: sealed}, info.version)
    return fresh
