"""Moving and copying entries: what concerns two places at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from bridge.crypto.errors import CryptoError
from bridge.crypto.record import Record
from bridge.files.api import Guard
from bridge.files.change import Change, StaleError, looking_again
from bridge.files.copies import Copies
from bridge.files.errors import (
    AlreadyExists,
    Busy,
    DamagedFile,
    IntoItself,
    NoSuchFile,
    NoSuchParent,
    RootRefused,
)
from bridge.files.layout import RECORD
from bridge.files.node import Node
from bridge.files.path import Path
from bridge.files.reseal import is_retired, reseal
from bridge.files.vault import Vault
from bridge.files.walk import Fate, Place
from bridge.store.api import NotFound, StoreError, Unavailable

_TARGET_GONE = "the target folder was moved or deleted meanwhile"


class Relocator:
    """``FileTree.move`` and ``FileTree.copy``."""

    def __init__(self, vault: Vault, copies: Copies) -> None:
        self._vault = vault
        self._copies = copies

    @looking_again
    def move(self, src: Path, dst: Path, *, overwrite: bool, guard: Guard) -> bool:
        """See ``FileTree.move``."""
        if src.is_root or dst.is_root:
            raise RootRefused("the root cannot be moved or replaced")
        here, node = self._vault.walker.find_existing(src)
        there, old = self._vault.walker.find(dst)
        return self._move(here, node, there, old, overwrite=overwrite, guard=guard)

    def _move(
        self,
        here: Place,
        seen: Node,
        there: Place,
        seen_old: Node | None,
        *,
        overwrite: bool,
        guard: Guard,
    ) -> bool:
        vault = self._vault
        is_directory = seen.directory_id is not None
        links = is_directory or (seen_old is not None and seen_old.directory_id is not None)
        with vault.changes.hold(here, there, links=links, structure=links) as change:
            node, record = self._source(change, here)
            same = here.key == there.key
            old = node if same else change.look(there)
            if not links and any(
                other is not None and other.directory_id is not None for other in (node, old)
            ):
                raise StaleError
            if same:
                guard(None)
                self._rename_form(change, here, there, node, record)
                return True
            if links:
                self._check_no_loop(here, there, node, old)
            self._ask(guard, there, old, overwrite=overwrite)
            change.begin()
            with self._way_made(change, there, old):
                record, version = self._show_as(there, here, node, record)
                self._move_entry(here, there, record)
            if self._must_undo(there, old):
                vault.store.move(there.key, here.key)
                raise NoSuchParent(_TARGET_GONE)
            change.became(here, None)
            change.became(there, vault.node(there, record, version))
        self._discard(old)
        return old is None

    @looking_again
    def copy(self, src: Path, dst: Path, *, overwrite: bool, recursive: bool, guard: Guard) -> bool:
        """See ``FileTree.copy``."""
        if src.is_root or dst.is_root:
            raise RootRefused("the root cannot be copied or replaced")
        here, node = self._vault.walker.find_existing(src)
        there, old = self._vault.walker.find(dst)
        if here.key == there.key:
            raise IntoItself("a file or folder cannot be copied onto itself")
        if node.directory_id is None:
            return self._copy_file(here, there, old, overwrite=overwrite, guard=guard)
        return self._copy_directory(
            here, there, node, overwrite=overwrite, recursive=recursive, guard=guard
        )

    def _copy_file(
        self, here: Place, there: Place, seen_old: Node | None, *, overwrite: bool, guard: Guard
    ) -> bool:
        vault = self._vault
        links = seen_old is not None and seen_old.directory_id is not None
        with vault.changes.hold(there, read_only=[here], links=links) as change:
            node, record = self._source(change, here)
            old = change.look(there)
            if node.directory_id is not None or (
                not links and old is not None and old.directory_id is not None
            ):
                raise StaleError
            if old is not None and old.directory_id in here.chain:
                raise IntoItself("a file cannot replace a folder it lies in")
            self._ask(guard, there, old, overwrite=overwrite)
            change.begin()
            with self._way_made(change, there, old):
                free = old is None or old.directory_id is not None
                copied = self._copies.copy_file(here.key, record, there, free=free)
            if self._must_undo(there, old):
                vault.store.delete(there.key)
                vault.extras.discard(copied.record)
                self._discard(old)
                raise NoSuchParent(_TARGET_GONE)
            change.became(there, copied)
        self._discard(old)
        return old is None

    def _copy_directory(
        self,
        here: Place,
        there: Place,
        node: Node,
        *,
        overwrite: bool,
        recursive: bool,
        guard: Guard,
    ) -> bool:
        vault = self._vault
        directory = node.directory_id
        record = node.record
        if directory is None or record is None:
            raise NoSuchFile(f"nothing is at {here.name!r}")
        if directory in there.chain:
            raise IntoItself("a folder cannot be copied into itself")
        old = vault.walker.read(there)
        if old is not None and old.directory_id in here.chain:
            raise IntoItself("a folder cannot replace one it lies in")
        self._ask(guard, there, old, overwrite=overwrite)
        whole = replace(record, properties=vault.properties(here, record), spill=None)

        def link(copy: Record) -> bool:
            return self._link_copy(here, there, copy, overwrite=overwrite, guard=guard)

        return self._copies.copy_directory(whole, there, recursive=recursive, link=link)

    def _link_copy(
        self, here: Place, there: Place, copy: Record, *, overwrite: bool, guard: Guard
    ) -> bool:
        """Give a finished copy of a directory its name; returns whether the place was free."""
        vault = self._vault
        with vault.changes.hold(there, links=True) as change:
            old = change.look(there)
            if old is not None and old.object_id == copy.object_id:
                return True
            if old is not None and old.directory_id in here.chain:
                raise IntoItself("a folder cannot replace one it lies in")
            self._ask(guard, there, old, overwrite=overwrite)
            change.begin()
            with self._way_made(change, there, old):
                shown, sealed = vault.extras.seal(
                    vault.shown(copy, there), vault.extras.properties(copy)
                )
                free = old is None or old.directory_id is not None
                version = vault.put_record(there.key, shown, sealed, free=free)
            vault.check_linked(there, copy.object_id)
            change.became(there, vault.node(there, shown, version))
        self._discard(old)
        return old is None

    def _must_undo(self, there: Place, old: Node | None) -> bool:
        """Whether what was just put at ``there`` must be taken away again.

        Raises Busy where the target folder may live on elsewhere and what it held is replaced:
        there the change has happened, and is not acknowledged.
        """
        fate = self._vault.walker.fate(there)
        if fate is Fate.MOVED and old is not None:
            raise Busy("the target folder was moved while something in it was replaced; look again")
        return fate is not Fate.LINKED

    def _ask(self, guard: Guard, there: Place, old: Node | None, *, overwrite: bool) -> None:
        guard(None if old is None else old.entry)
        if old is not None and old.record is None:
            raise DamagedFile(f"what is at {there.name!r} is damaged; it can only be deleted")
        if old is not None and not overwrite:
            raise AlreadyExists(f"something is at {there.name!r} already")

    def _source(self, change: Change, here: Place) -> tuple[Node, Record]:
        node = change.look(here)
        if node is None:
            raise NoSuchFile(f"nothing is at {here.name!r}")
        if node.record is None:
            raise DamagedFile(f"{here.name!r} is damaged: its record does not open")
        return node, node.record

    def _check_no_loop(self, here: Place, there: Place, node: Node, old: Node | None) -> None:
        """Under the structure lease: neither directory may lie on the other's way to the root."""
        if node.directory_id is not None and node.directory_id in there.chain:
            raise IntoItself("a folder cannot be moved into itself")
        if old is not None and old.directory_id in here.chain:
            raise IntoItself("a folder cannot replace one it lies in")

    @contextmanager
    def _way_made(self, change: Change, there: Place, old: Node | None) -> Iterator[None]:
        """Put something at ``there`` inside. A directory in the way goes to the reaper whole.

        It is put back when what follows has surely not happened. A file in the way is replaced by
        what follows.
        """
        directory = None if old is None else old.directory_id
        if directory is None:
            yield
            return
        vault = self._vault
        vault.may_remove(directory)
        reseal(vault, there.key)  # since it may be put back
        vault.remove_directory(there.key, directory)
        change.became(there, None)
        try:
            yield
        except Unavailable:
            raise  # it may have happened
        except (StoreError, CryptoError):
            vault.store.move(vault.layout.removed(directory), there.key)
            raise

    def _discard(self, old: Node | None) -> None:
        if old is not None and old.directory_id is None:
            self._vault.extras.discard(old.record)

    def _show_as(self, there: Place, here: Place, node: Node, record: Record) -> tuple[Record, str]:
        """Make the record at ``here`` show the new name, before it is moved to ``there``.

        Until the move its shown name does not fit its place and is not used. What is under a
        retired key is sealed anew: nothing under one may come where a rotation has looked already.
        """
        vault = self._vault
        wanted = vault.shown(record, there)
        if wanted.shown_name == record.shown_name and not is_retired(vault, here.key):
            return record, node.version
        sealed_record, sealed = vault.extras.seal(wanted, vault.extras.properties(record))
        vault.acting.set_metadata(here.key, {RECORD: sealed}, node.version)
        vault.extras.discard(record, kept=sealed_record)
        return sealed_record, node.version

    def _move_entry(self, here: Place, there: Place, record: Record) -> None:
        vault = self._vault
        try:
            vault.acting.move(here.key, there.key)
        except NotFound:
            if vault.version_if_ours(there.key, record.object_id) is None:
                raise

    def _rename_form(
        self, change: Change, here: Place, there: Place, node: Node, record: Record
    ) -> None:
        """A move onto another Unicode form of the same name: the entry stays, its look changes."""
        if here.name == there.name:
            raise IntoItself("a file or folder cannot be moved onto itself")
        change.begin()
        shown, version = self._show_as(there, here, node, record)
        change.became(here, self._vault.node(here, shown, version))
