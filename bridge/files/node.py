"""Entries as the tree knows them inside: what a door sees, and what names it in the store."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import NamedTuple

from bridge.crypto.errors import CryptoError, Unconfirmed, UnknownKey
from bridge.crypto.names import normalize
from bridge.crypto.record import Kind, Record
from bridge.crypto.vault import VaultKeys
from bridge.files.api import Entry
from bridge.files.layout import RECORD, Layout
from bridge.store.api import NotFound, ObjectInfo, ObjectStore

log = logging.getLogger(__name__)


class Node(NamedTuple):
    """One entry of a directory.

    ``norm``: its name, normalized. ``record`` is None when it does not open (``entry.damaged``).
    ``version``: the store's token of the content. A directory's ``entry`` has no true mtime yet:
    that lives beside its generation.
    """

    norm: str
    entry: Entry
    record: Record | None
    version: str

    @property
    def directory_id(self) -> bytes | None:
        """The id of the directory it is, or None for a file."""
        record = self.record
        return record.object_id if record is not None and record.kind is Kind.DIRECTORY else None

    @property
    def object_id(self) -> bytes:
        """The object id in its record; empty when damaged."""
        return self.record.object_id if self.record is not None else b""


def shown_name(norm: str, record: Record) -> str:
    """The name to show: as first written, unless the entry was renamed since."""
    shown = record.shown_name
    return shown if shown and normalize(shown) == norm else norm


def entry_of(norm: str, record: Record) -> Entry:
    """What a door sees of a record."""
    name = shown_name(norm, record) if record.shown_name else norm
    if record.kind is Kind.DIRECTORY:
        return Entry(
            name,
            is_directory=True,
            created=record.created,
            properties=None if record.spill else record.properties,
        )
    return Entry(
        name,
        is_directory=False,
        size=record.size,
        mtime=record.mtime,
        created=record.created,
        etag=record.etag,
        content_type=record.content_type,
        properties=None if record.spill else record.properties,
    )


class Nodes:
    """Reads nodes from the store and opens them."""

    def __init__(self, store: ObjectStore, keys: VaultKeys, layout: Layout) -> None:
        self.store = store
        self.keys = keys
        self.layout = layout

    def from_info(self, norm: str, info: ObjectInfo) -> Node:
        """The node of an object found under the key of ``norm``; damaged when it does not open.

        Raises Unconfirmed where it might open if the newest keyring were known.
        """
        sealed = info.metadata.get(RECORD) if info.metadata is not None else None
        record = None
        if sealed is not None:
            try:
                record = self._open(info.key, sealed)
            except Unconfirmed:
                raise
            except CryptoError as error:
                log.warning("record does not open: %s: %s", info.key, error)
        if record is None:
            damaged = Entry(norm, is_directory=False, mtime=info.modified, damaged=True)
            return Node(norm, damaged, None, info.version)
        return Node(norm, entry_of(norm, record), record, info.version)

    def _open(self, key: str, sealed: str) -> Record:
        try:
            return self.keys.open_record(sealed)
        except UnknownKey:
            # Listed long ago, and its key has left the keyring: it is under another one by now.
            try:
                now = self.store.stat(key).metadata
            except NotFound:
                now = None
            if now is None or now.get(RECORD, sealed) == sealed:
                raise
            return self.keys.open_record(now[RECORD])

    def in_directory(self, directory: bytes, by: ObjectStore | None = None) -> Iterator[Node]:
        """Every node of a directory, straight from the store (or ``by``), in the store's order.

        An object whose name does not open under this directory (moved here behind the bridge's
        back) has no name to show it by: it is logged and left to fsck.
        """
        prefix = self.layout.directory(directory)
        start = len(prefix)
        for info in (by or self.store).list(prefix):
            if info.is_prefix:
                continue
            try:
                norm = self.keys.names.open(directory, info.key[start:])
            except CryptoError:
                log.warning("name does not open: %s", info.key)
                continue
            yield self.from_info(norm, info)
