"""The file tree on an object store, everything encrypted: vault format 1 at work.

A directory is an immutable random id; its children's keys hold that id, so renaming or
deleting a directory of any size is one move of its entry. The rules that keep this from
losing data are in ``docs/architecture.md``; each has its place: ``change`` (leases, generations),
``writer`` (commit, then check), ``relocate`` (links), ``copies`` (intents), ``reaper``, ``fsck``.
What readers, who hold no lease, must bear is in ``reader``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace

from bridge.crypto.errors import Unconfirmed
from bridge.crypto.record import Kind, Record
from bridge.files.api import ROOT, Entry, Guard, Reader, Usage, Writer, no_guard
from bridge.files.change import StaleError, looking_again
from bridge.files.content import ContentWriter, stored_size
from bridge.files.copies import Copies, Running
from bridge.files.errors import (
    AlreadyExists,
    DamagedFile,
    IsDirectory,
    NoSuchFile,
    RootRefused,
)
from bridge.files.layout import RECORD
from bridge.files.measure import measure
from bridge.files.node import Node
from bridge.files.path import Path
from bridge.files.reader import open_file
from bridge.files.reaper import Reaper
from bridge.files.relocate import Relocator
from bridge.files.translate import translate, translated
from bridge.files.vault import Vault
from bridge.files.writer import VaultWriter
from bridge.state.api import DirectoryState, StateError
from bridge.store.api import Exists, ObjectStore, StoreError

CONTENT_TYPE_LIMIT = 255
"""Longest content type kept, in characters; a longer one is not a type."""

_STATES_AT_ONCE = 500

_SHORT = 1 << 20
"""Bytes of a file that is not worth a look at what it replaces before it comes."""

_Nodes = list[Node]
_Waiting = list[tuple[bytes, Entry]]


class VaultTree:
    """A ``FileTree``; see ``bridge.files.api`` for what each method promises."""

    def __init__(
        self, vault: Vault, *, reaper: Reaper | None = None, running: Running | None = None
    ) -> None:
        self.vault = vault
        self.reaper = reaper or Reaper(vault)
        self._running = running or Running()
        self._relocator = Relocator(vault, Copies(vault, self._running))

    def acting_by(self, store: ObjectStore) -> VaultTree:
        """This tree, for requests that ``store`` makes; it may be allowed less than the tenant's.

        It writes, reads, lists, moves, copies and deletes what requests name. What finds the way to
        it, keeps copies' intents, takes a removed folder to ``r/``, undoes what failed and clears
        up stays with the tenant's own store.
        """
        return VaultTree(self.vault.acting_by(store), reaper=self.reaper, running=self._running)

    @translated
    def stat(self, path: Path) -> Entry:
        """See ``FileTree.stat``."""
        vault = self.vault
        if path.is_root:
            state = vault.state.read([vault.root])[0]
            return Entry("", is_directory=True, mtime=state.mtime)
        _, node = vault.walker.find_existing(path)
        directory = node.directory_id
        if directory is None:
            return node.entry
        return replace(node.entry, mtime=vault.state.read([directory])[0].mtime)

    @translated
    def list(self, path: Path) -> Iterator[Entry]:
        """See ``FileTree.list``."""
        vault = self.vault
        directory, state, _ = vault.walker.directory(path)
        nodes = vault.cache.listing(directory, state)
        return self._entries(self._load(directory, state) if nodes is None else iter(nodes))

    def _load(self, directory: bytes, state: DirectoryState) -> Iterator[Node]:
        """Nodes from the store, remembered when there are not too many."""
        vault = self.vault
        collected: _Nodes | None = []
        for node in vault.nodes.in_directory(directory, vault.acting):
            if collected is not None:
                collected.append(node)
                if len(collected) > vault.cache.listing_limit:
                    collected = None
            yield node
        if collected is not None:
            vault.cache.learn_listing(directory, collected, state)

    def _entries(self, nodes: Iterator[Node]) -> Iterator[Entry]:
        """Entries of nodes; directories get their times, many in one query."""
        waiting: _Waiting = []
        try:
            for node in nodes:
                directory = node.directory_id
                if directory is None:
                    yield node.entry
                    continue
                waiting.append((directory, node.entry))
                if len(waiting) == _STATES_AT_ONCE:
                    yield from self._with_times(waiting)
                    waiting.clear()
            yield from self._with_times(waiting)
        except (StoreError, StateError, Unconfirmed) as error:
            raise translate(error) from error

    def _with_times(self, waiting: _Waiting) -> Iterator[Entry]:
        if waiting:
            states = self.vault.state.read([directory for directory, _ in waiting])
            for (_, entry), state in zip(waiting, states, strict=True):
                yield replace(entry, mtime=state.mtime)

    @translated
    def open(
        self, path: Path, offset: int = 0, length: int | None = None, *, etag: str | None = None
    ) -> Reader:
        """See ``FileTree.open``."""
        if path.is_root:
            raise IsDirectory("the root is a folder")
        return open_file(self.vault, path, offset, length, etag=etag)

    @translated
    def create(
        self,
        path: Path,
        *,
        size: int | None = None,
        content_type: str = "",
        mtime: float | None = None,
    ) -> Writer:
        """See ``FileTree.create``."""
        vault = self.vault
        if path.is_root:
            raise RootRefused("the root cannot be replaced by a file")
        if size is not None and size <= _SHORT:
            place = vault.walker.place(path)  # what is there, the commit asks
        else:
            place, old = vault.walker.find(path)
            if old is not None and old.directory_id is not None:
                raise IsDirectory(f"{path} is a folder")
        apart = size is not None and stored_size(size) >= vault.standalone
        body = vault.new_id() if apart else b""
        key = vault.layout.body(body) if apart else place.key
        limit = size if size is not None else vault.standalone
        content = ContentWriter(vault.keys.new_body(), vault.acting.put(key), limit)
        return VaultWriter(
            vault,
            place,
            content,
            body=body,
            content_type=content_type if len(content_type) <= CONTENT_TYPE_LIMIT else "",
            mtime=mtime,
        )

    @translated
    @looking_again
    def mkdir(self, path: Path, guard: Guard = no_guard) -> Entry:
        """See ``FileTree.mkdir``."""
        vault = self.vault
        if path.is_root:
            raise AlreadyExists("the root is there already")
        place = vault.walker.place(path)
        record = vault.shown(
            Record(kind=Kind.DIRECTORY, object_id=vault.new_id(), created=vault.clock()), place
        )
        with vault.changes.hold(place, links=True) as change:
            old = change.look(place)
            guard(None if old is None else old.entry)
            if old is not None:
                raise AlreadyExists(f"something is at {path} already")
            change.begin()
            state = vault.state.read([record.object_id])[0]  # before anybody can change it
            try:
                version = vault.put_record(place.key, record, vault.keys.seal_record(record))
            except Exists:
                with suppress(StateError):
                    vault.state.forget([record.object_id])
                raise AlreadyExists(f"something is at {path} already") from None
            vault.check_linked(place, record.object_id)
            node = vault.node(place, record, version)
            change.became(place, node)
        vault.cache.learn_listing(record.object_id, (), state)
        return replace(node.entry, mtime=state.mtime)

    @translated
    @looking_again
    def delete(self, path: Path, guard: Guard = no_guard) -> None:
        """See ``FileTree.delete``."""
        vault = self.vault
        if path.is_root:
            raise RootRefused("the root cannot be deleted")
        place, seen = vault.walker.find_existing(path)
        links = seen.directory_id is not None
        with vault.changes.hold(place, links=links) as change:
            node = change.look(place)
            if node is None:
                raise NoSuchFile(f"nothing is at {path}")
            directory = node.directory_id
            if (directory is not None) is not links:
                raise StaleError
            guard(node.entry)
            change.begin()
            if directory is None:
                vault.acting.delete(place.key)
            else:
                vault.may_remove(directory)
                vault.remove_directory(place.key, directory)
            change.became(place, None)
        if directory is None:
            vault.extras.discard(node.record)
        else:
            self.reaper.notify()

    @translated
    def move(self, src: Path, dst: Path, *, overwrite: bool, guard: Guard = no_guard) -> bool:
        """See ``FileTree.move``."""
        return self._relocator.move(src, dst, overwrite=overwrite, guard=guard)

    @translated
    def copy(
        self,
        src: Path,
        dst: Path,
        *,
        overwrite: bool,
        recursive: bool = True,
        guard: Guard = no_guard,
    ) -> bool:
        """See ``FileTree.copy``."""
        return self._relocator.copy(src, dst, overwrite=overwrite, recursive=recursive, guard=guard)

    @translated
    @looking_again
    def set_properties(
        self,
        path: Path,
        *,
        set: Mapping[str, str] = {},  # noqa: A002 - RFC 4918's own word
        remove: frozenset[str] = frozenset(),
        mtime: float | None = None,
        guard: Guard = no_guard,
    ) -> Entry:
        """See ``FileTree.set_properties``."""
        vault = self.vault
        if path.is_root:
            raise RootRefused("the root holds no properties")
        place, _ = vault.walker.find_existing(path)
        with vault.changes.hold(place) as change:
            node = change.look(place)
            if node is None:
                raise NoSuchFile(f"nothing is at {path}")
            guard(node.entry)
            old = node.record
            if old is None:
                raise DamagedFile(f"{path} is damaged: its record does not open")
            properties = {
                name: value
                for name, value in vault.extras.properties(old).items()
                if name not in remove
            }
            properties.update(set)
            if mtime is not None and old.kind is Kind.DIRECTORY:
                raise IsDirectory("the time of a folder follows its children")
            record = old if mtime is None else replace(old, mtime=mtime)
            change.begin()
            record, sealed = vault.extras.seal(record, properties)
            vault.acting.set_metadata(place.key, {RECORD: sealed}, node.version)
            new = vault.node(place, record, node.version)
            change.became(place, new)
        vault.extras.discard(old, kept=record)
        if new.directory_id is None:
            return new.entry
        return replace(new.entry, mtime=vault.state.read([new.directory_id])[0].mtime)

    @translated
    @looking_again
    def properties(self, path: Path) -> Mapping[str, str]:
        """See ``FileTree.properties``."""
        if path.is_root:
            return {}
        place, node = self.vault.walker.find_existing(path)
        return {} if node.record is None else self.vault.properties(place, node.record)

    @translated
    def usage(self, path: Path = ROOT) -> Usage:
        """See ``FileTree.usage``."""
        return measure(self.vault, path)
