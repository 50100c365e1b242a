"""What the parts of a vault tree share: one vault's store, keys, state, caches and clocks."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import replace
from typing import Self

from bridge.crypto.record import Kind, Record
from bridge.crypto.vault import VaultKeys
from bridge.files.cache import DirectoryCache
from bridge.files.change import CALL_LIMIT, Changes, StaleError
from bridge.files.content import STANDALONE
from bridge.files.errors import DamagedFile, NoSuchParent
from bridge.files.extras import Extras
from bridge.files.layout import ID_SIZE, RECORD, Layout
from bridge.files.node import Node, Nodes, entry_of
from bridge.files.walk import Fate, Place, Walker
from bridge.state.api import TreeState
from bridge.store.api import Exists, NotFound, ObjectStore
from bridge.store.deadline import deadline


class Vault:
    """One vault, opened. ``standalone``: sealed bytes from which a body stands apart.

    ``store`` is the tenant's own: it finds the way, and makes and clears up what the bridge needs
    on its own account. ``acting`` is what requests are made with: the same store, or another
    holder's way to the same bucket, which may be allowed less (see ``acting_by``).
    """

    def __init__(
        self,
        store: ObjectStore,
        keys: VaultKeys,
        state: TreeState,
        *,
        prefix: str,
        cache_names: int = 100_000,
        standalone: int = STANDALONE,
        clock: Callable[[], float] = time.time,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.store = store
        self.acting = store
        self.keys = keys
        self.state = state
        self.standalone = standalone
        self.clock = clock
        self.random = random
        self.layout = Layout(prefix)
        self.root = keys.root_directory_id
        self.cache = DirectoryCache(cache_names)
        self.nodes = Nodes(store, keys, self.layout)
        self.walker = Walker(self.nodes, state, self.cache, self.root)
        self.changes = Changes(state, self.cache, self.walker)
        self.extras = Extras(store, store, keys, self.layout, random)

    def acting_by(self, store: ObjectStore) -> Self:
        """This vault, for requests that ``store`` makes: the rest is shared."""
        view = copy(self)
        view.acting = store
        view.extras = Extras(self.store, store, self.keys, self.layout, self.random)
        return view

    def new_id(self) -> bytes:
        """A fresh random id."""
        return self.random(ID_SIZE)

    def new_etag(self) -> str:
        """A fresh etag: 32 hex digits and ``-1``, which S3 tools do not take for an MD5."""
        return f"{self.random(16).hex()}-1"

    def node(self, place: Place, record: Record, version: str) -> Node:
        """The node of an entry just written."""
        return Node(place.norm, entry_of(place.norm, record), record, version)

    def put_record(self, key: str, record: Record, sealed: str, *, free: bool = True) -> str:
        """Publish a zero-byte entry; returns its version.

        ``free``: nothing is there, and Exists is raised when something else is after all. When
        the answer to an earlier attempt was lost, what is there is ours: told by the object id.
        Else a file is replaced.
        """
        upload = self.acting.put(key)
        try:
            return upload.commit({RECORD: sealed}, if_absent=free).version
        except Exists:
            version = self.version_if_ours(key, record.object_id)
            if version is None:
                raise
            return version
        except BaseException:
            upload.abort()
            raise

    def version_if_ours(self, key: str, object_id: bytes) -> str | None:
        """The version at ``key`` if its record has this object id, else None."""
        try:
            info = self.store.stat(key)
        except NotFound:
            return None
        node = self.nodes.from_info("", info)
        return info.version if node.object_id == object_id else None

    def may_remove(self, directory: bytes) -> None:
        """Raise Forbidden where the acting store may remove nothing. Asked before it is removed.

        That moves its entry to ``r/``, with the tenant's store: a move needs more than the right to
        delete. Nothing is at ``r/`` yet under the id of a directory that hangs in the tree.
        """
        if self.acting is not self.store:
            self.acting.delete(self.layout.removed(directory))

    def remove_directory(self, key: str, directory: bytes) -> None:
        """Take a directory's entry out of the tree, whole and at once; the reaper does the rest.

        Raises NotFound when the entry is not there (and was not just removed by a lost answer).
        """
        removed = self.layout.removed(directory)
        try:
            self.store.move(key, removed)
        except NotFound:
            self.store.stat(removed)

    def properties(self, place: Place, record: Record) -> Mapping[str, str]:
        """All dead properties of the ``record`` found at ``place``, on which no lease is held.

        Raises StaleError when the entry has changed since, DamagedFile.
        """
        try:
            return self.extras.properties(record)
        except DamagedFile:
            self.check_names_extras(place, record)
            raise

    def check_names_extras(self, place: Place, record: Record) -> None:
        """An extra of ``record`` does not open: raise StaleError unless ``place`` still names it.

        Whoever replaces an entry removes what only the old one named. The store itself is asked.
        """
        node = self.walker.read(place)
        if node is None or node.record is None or not self.extras.are_same(node.record, record):
            raise StaleError

    def check_linked(self, place: Place, directory: bytes) -> None:
        """After a directory was linked at ``place``: raise NoSuchParent unless it hangs there.

        Under a removed directory it is handed to the reaper whole. Under one that was moved it is
        left: others may have used it by now.
        """
        fate = self.walker.fate(place)
        if fate is Fate.REMOVED:
            self.remove_directory(place.key, directory)
        if fate is not Fate.LINKED:
            raise NoSuchParent("the folder was moved or deleted meanwhile")

    def put_removed(self, directory: bytes) -> None:
        """Hand a directory that is linked nowhere to the reaper."""
        record = Record(kind=Kind.DIRECTORY, object_id=directory, created=self.clock())
        with deadline(CALL_LIMIT):  # what is sealed must not come long after
            upload = self.store.put(self.layout.removed(directory))
            upload.commit({RECORD: self.keys.seal_record(record)})

    def shown(self, record: Record, place: Place) -> Record:
        """``record`` showing the name as ``place`` has it written."""
        return replace(record, shown_name=place.name if place.name != place.norm else "")
