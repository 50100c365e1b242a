"""What this process remembers of directories: hints, checked against generations at each use.

A remembered fact about a directory holds exactly as long as the generation it was learned
at, while nobody is changing the directory. The process's own changes are written through in
the order of the generations they made, so that its own writes do not empty its cache; any
gap in that order (another process wrote) makes the directory be read again. All facts end
after a time, so that a change made behind the bridge's back is seen in the end.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from enum import Enum

from bridge.files.node import Node
from bridge.state.api import DirectoryState

LIFE = 60.0
"""Seconds for which a fact is believed though nobody is known to have changed it."""

_PENDING_LIMIT = 64


class Unknown(Enum):
    """Says that the cache cannot answer."""

    UNKNOWN = 0


UNKNOWN = Unknown.UNKNOWN

Delta = tuple[str, Node | None]
"""A name in a directory, and what it is after a change (None: nothing)."""


class _Folder:
    """Facts about one directory: nodes by name at one generation, child directories at another.

    ``complete``: a name that is not in ``nodes`` is not in the directory.
    """

    __slots__ = ("children", "complete", "ends", "generation", "links", "nodes", "pending")

    def __init__(self, generation: int, links: int, ends: float) -> None:
        self.ends = ends
        self.generation = generation
        self.links = links
        self.nodes: dict[str, Node | None] = {}
        self.children: dict[str, bytes] = {}
        self.complete = False
        self.pending: dict[int, tuple[DirectoryState, bool, Sequence[Delta]]] = {}

    def weight(self) -> int:
        return 1 + len(self.nodes) + len(self.children)


class DirectoryCache:
    """Bounded by the number of names remembered over all directories; least recently used go."""

    def __init__(
        self,
        limit: int = 100_000,
        life: float = LIFE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = limit
        self._life = life
        self._clock = clock
        self.listing_limit = limit // 2
        self._folders: OrderedDict[bytes, _Folder] = OrderedDict()
        self._weight = 0
        self._lock = threading.Lock()
        self.hits = 0
        self.misses = 0

    def resize(self, limit: int) -> None:
        """Remember no more than ``limit`` names from now on."""
        with self._lock:
            self._limit = limit
            self.listing_limit = limit // 2
            self._grow(0)

    def child(self, directory: bytes, norm: str) -> tuple[bytes, int] | None:
        """A child directory's id and the links counter it was learned at, not yet checked."""
        folder = self._folders.get(directory)
        if folder is None or folder.ends < self._clock():
            return None
        child = folder.children.get(norm)
        return None if child is None else (child, folder.links)

    def lookup(
        self, directory: bytes, norm: str, state: DirectoryState, *, leased: bool = False
    ) -> Node | Unknown | None:
        """What is known, at ``state``, of one name.

        ``leased``: since ``state`` was read, nobody but the caller can change that name. Then it
        does not matter who else is changing the directory, or has changed it since.
        """
        with self._lock:
            folder = self._current(directory, state, leased=leased)
            if folder is not None:
                node = folder.nodes.get(norm, UNKNOWN)
                if node is not UNKNOWN:
                    self.hits += 1
                    return node
                if folder.complete:
                    self.hits += 1
                    return None
            self.misses += 1
            return UNKNOWN

    def listing(self, directory: bytes, state: DirectoryState) -> list[Node] | None:
        """All nodes of a directory at ``state``, or None."""
        with self._lock:
            folder = self._current(directory, state)
            if folder is None or not folder.complete:
                self.misses += 1
                return None
            self.hits += 1
            return [node for node in folder.nodes.values() if node is not None]

    def learn(self, directory: bytes, norm: str, node: Node | None, state: DirectoryState) -> None:
        """Remember a look-up made after ``state`` was read."""
        with self._lock:
            folder = self._fresh(directory, state)
            if folder is not None:
                before = folder.weight()
                if not state.changing and folder.generation == state.generation:
                    folder.nodes[norm] = node
                if not state.links_changing and folder.links == state.links:
                    _set_child(folder, norm, node)
                self._grow(folder.weight() - before)

    def learn_listing(self, directory: bytes, nodes: Sequence[Node], state: DirectoryState) -> None:
        """Remember a whole listing begun after ``state`` was read."""
        if state.changing or len(nodes) > self.listing_limit:
            return
        with self._lock:
            folder = self._fresh(directory, state)
            if folder is None or folder.generation != state.generation:
                return
            before = folder.weight()
            folder.nodes = {node.norm: node for node in nodes}
            folder.complete = True
            if not state.links_changing and folder.links == state.links:
                for node in nodes:
                    _set_child(folder, node.norm, node)
            self._grow(folder.weight() - before)

    def apply(
        self, directory: bytes, deltas: Sequence[Delta], after: DirectoryState, *, links: bool
    ) -> None:
        """Write this process's own change through; ``after`` is what it made of the directory.

        ``links``: the change raised the directory's links counter too.
        """
        with self._lock:
            folder = self._folders.get(directory)
            if folder is None or after.generation <= folder.generation:
                return
            before = folder.weight()
            folder.pending[after.generation] = (after, links, deltas)
            while (step := folder.pending.pop(folder.generation + 1, None)) is not None:
                state, raised, changes = step
                folder.generation = state.generation
                if state.links != folder.links + raised:
                    folder.children.clear()  # learned at another moment than the nodes
                folder.links = state.links
                for norm, node in changes:
                    folder.nodes[norm] = node
                    _set_child(folder, norm, node)
            self._grow(folder.weight() - before)
            if len(folder.pending) > _PENDING_LIMIT:
                self._drop(directory)

    def forget(self, directory: bytes) -> None:
        """Drop what is known of a directory."""
        with self._lock:
            self._drop(directory)

    def _current(
        self, directory: bytes, state: DirectoryState, *, leased: bool = False
    ) -> _Folder | None:
        folder = self._folders.get(directory)
        if folder is None or folder.generation < state.generation:
            return None
        if not leased and (state.changing or folder.generation > state.generation):
            return None
        if folder.ends < self._clock():
            self._drop(directory)
            return None
        self._folders.move_to_end(directory)
        return folder

    def _fresh(self, directory: bytes, state: DirectoryState) -> _Folder | None:
        """The folder as a place to learn at ``state``; what an older state taught is dropped."""
        folder = self._folders.get(directory)
        ends = self._clock() + self._life
        if folder is not None and folder.ends < self._clock():
            self._drop(directory)
            folder = None
        if folder is None:
            if state.changing and state.links_changing:
                return None
            folder = self._folders[directory] = _Folder(state.generation, state.links, ends)
            self._weight += folder.weight()
        elif folder.generation < state.generation and not state.changing:
            before = folder.weight()
            folder.nodes.clear()
            folder.complete = False
            folder.generation = state.generation
            folder.pending = {
                made: step for made, step in folder.pending.items() if made > state.generation
            }
            self._weight += folder.weight() - before
        if folder.links < state.links and not state.links_changing:
            before = folder.weight()
            folder.children.clear()
            folder.links = state.links
            self._weight += folder.weight() - before
        self._folders.move_to_end(directory)
        return folder

    def _grow(self, by: int) -> None:
        self._weight += by
        while self._weight > self._limit and self._folders:
            self._drop(next(iter(self._folders)))

    def _drop(self, directory: bytes) -> None:
        folder = self._folders.pop(directory, None)
        if folder is not None:
            self._weight -= folder.weight()


def _set_child(folder: _Folder, norm: str, node: Node | None) -> None:
    child = node.directory_id if node is not None else None
    if child is None:
        folder.children.pop(norm, None)
    else:
        folder.children[norm] = child
