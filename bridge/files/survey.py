"""One pass over a vault: all that its root, its removed directories and its copies reach.

The order matters beside a running service: the tree first, then ``r/``, so that what is deleted
meanwhile is met there. What else changes meanwhile is young, and fsck leaves that alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bridge.crypto.errors import CryptoError
from bridge.crypto.record import Kind, Record
from bridge.files.findings import Finding
from bridge.files.layout import id_bytes
from bridge.files.node import Node
from bridge.files.vault import Vault
from bridge.store.api import NotFound, ObjectInfo

Found = Callable[[Finding, ObjectInfo], None]


class Survey:
    """What is reached. ``found`` hears of what is wrong on the way."""

    def __init__(self, vault: Vault, found: Found, progress: Callable[[int], None]) -> None:
        self._vault = vault
        self._found = found
        self._progress = progress
        self.directories: set[bytes] = set()
        self.bodies: set[bytes] = set()
        self.spills: set[bytes] = set()
        self.files = 0
        self.bytes = 0
        self.in_tree = 0

    def run(self) -> None:
        """Walk everything that holds on to something. Raises StoreError."""
        vault = self._vault
        self.reach(vault.root, count=True)
        self.in_tree = len(self.directories)
        for info in vault.store.list(vault.layout.removals):
            record = vault.nodes.from_info("", info).record
            if record is not None and record.spill is not None:
                self.spills.add(record.spill.key_id)
            directory = id_bytes(info.key[len(vault.layout.removals) :])
            if directory is not None:
                self.reach(directory)

    def reach(self, root: bytes, *, count: bool = False) -> None:
        """Walk all below ``root``. A directory met before is not entered again: no endless walk."""
        if root in self.directories:
            return
        self.directories.add(root)
        waiting = [root]
        while waiting:
            for info, node in self.entries(waiting.pop()):
                record = node.record
                if record is None:
                    self._found(Finding.DAMAGED_RECORD, info)
                    continue
                self._note_extras(record, info)
                if record.kind is Kind.FILE:
                    if count:
                        self.files += 1
                        self.bytes += record.size
                        self._progress(self.files)
                elif record.object_id in self.directories:
                    self._found(Finding.LINKED_TWICE, info)
                else:
                    self.directories.add(record.object_id)
                    waiting.append(record.object_id)

    def entries(self, directory: bytes) -> Iterator[tuple[ObjectInfo, Node]]:
        """The entries of one directory whose names belong to it; others are found."""
        vault = self._vault
        prefix = vault.layout.directory(directory)
        for info in vault.store.list(prefix, recursive=True):
            try:
                norm = vault.keys.names.open(directory, info.key[len(prefix) :])
            except CryptoError:
                self._found(Finding.FOREIGN_NAME, info)
                continue
            yield info, vault.nodes.from_info(norm, info)

    def _note_extras(self, record: Record, info: ObjectInfo) -> None:
        layout = self._vault.layout
        if record.spill is not None:
            self.spills.add(record.spill.key_id)
            self._require(layout.spill(record.spill.key_id), Finding.MISSING_SPILL, info, record)
        if record.body:
            self.bodies.add(record.body)
            self._require(layout.body(record.body), Finding.MISSING_BODY, info, record)

    def _require(self, key: str, finding: Finding, entry: ObjectInfo, record: Record) -> None:
        try:
            self._vault.store.stat(key)
        except NotFound:
            if self._holds(entry.key, record):
                self._found(finding, entry)

    def _holds(self, key: str, record: Record) -> bool:
        """Whether the entry at ``key`` names the extras of ``record`` still, listed a while ago."""
        vault = self._vault
        try:
            now = vault.nodes.from_info("", vault.store.stat(key)).record
        except NotFound:
            return False
        return now is not None and vault.extras.are_same(now, record)
