"""What an entry may have beside itself: spilled properties at ``x/``, a body of its own at ``o/``.

An extra belongs to exactly one entry: written before the record that names it, never shared,
removed after that record is gone.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace

from bridge.crypto.errors import TooLong
from bridge.crypto.record import Record, SpillRef
from bridge.crypto.vault import VaultKeys
from bridge.files.errors import DamagedFile, PropertiesTooLarge
from bridge.files.layout import ID_SIZE, Layout
from bridge.store.api import NotFound, ObjectStore, StoreError
from bridge.store.whole import read_whole

log = logging.getLogger(__name__)

PROPERTIES_LIMIT = 64 * 1024
"""Most dead properties of one resource, names and values together, in bytes of UTF-8."""


class Extras:
    """Writes extras with the ``acting`` store, and reads and removes them with the tenant's own."""

    def __init__(
        self,
        store: ObjectStore,
        acting: ObjectStore,
        keys: VaultKeys,
        layout: Layout,
        random: Callable[[int], bytes],
    ) -> None:
        self._store = store
        self._acting = acting
        self._keys = keys
        self._layout = layout
        self._random = random

    def properties(self, record: Record) -> Mapping[str, str]:
        """All dead properties of a record, spilled or not.

        Raises DamagedFile where the spill is missing or another: the record does not hold any
        more (ask ``Vault.properties`` where no lease is held), or what it names is lost.
        """
        if record.spill is None:
            return record.properties
        try:
            data = self.read(self._layout.spill(record.spill.key_id))
        except NotFound:
            raise DamagedFile("the properties stored for this are missing") from None
        if hashlib.sha256(data).digest() != record.spill.digest:
            raise DamagedFile("the properties stored for this do not match its record")
        return self._keys.open_spill(data)

    def read(self, key: str, length: int | None = None) -> bytes:
        """The first ``length`` bytes of a small object, or all. Raises NotFound."""
        return read_whole(self._store, key, length)

    def seal(self, record: Record, properties: Mapping[str, str]) -> tuple[Record, str]:
        """The record with ``properties``, and it sealed; what does not fit spills over first.

        Both under one key: who looks for what is under another need not open spills.
        """
        size = sum(len(name.encode()) + len(value.encode()) for name, value in properties.items())
        if size > PROPERTIES_LIMIT:
            raise PropertiesTooLarge(
                f"{size} bytes of properties, more than {PROPERTIES_LIMIT} a resource may have"
            )
        whole = record
        if properties or record.properties or record.spill is not None:
            whole = replace(record, properties=properties, spill=None)
        keys = self._keys.sealing()
        try:
            return whole, keys.seal_record(whole)
        except TooLong:
            data = keys.seal_spill(properties)
            spill = SpillRef(self._random(ID_SIZE), hashlib.sha256(data).digest())
            upload = self._acting.put(self._layout.spill(spill.key_id))
            try:
                upload.write(data)
                upload.commit({})
            except BaseException:
                upload.abort()
                raise
            spilled = replace(record, properties={}, spill=spill)
            return spilled, keys.seal_record(spilled)

    def discard(self, old: Record | None, *, kept: Record | None = None) -> None:
        """Remove what ``old``, which is gone from the store already, names and ``kept`` does not.

        A failure is logged and the rest left to fsck: the change itself is made.
        """
        if old is None:
            return
        keys = []
        if old.spill is not None and (kept is None or kept.spill != old.spill):
            keys.append(self._layout.spill(old.spill.key_id))
        if old.body and (kept is None or kept.body != old.body):
            keys.append(self._layout.body(old.body))
        for key in keys:
            try:
                self._store.delete(key)
            except StoreError as error:
                log.warning("left behind, fsck will find it: %s: %s", key, error)

    @staticmethod
    def are_same(one: Record, other: Record) -> bool:
        """Whether two records name the same extras."""
        return (one.spill, one.body) == (other.spill, other.body)

    def has_any(self, record: Record) -> bool:
        """Whether the record names anything beside its entry."""
        return record.spill is not None or bool(record.body)
