"""From paths to directory ids: the way through the tree, cached and checked."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

from bridge.crypto.names import normalize
from bridge.files.cache import UNKNOWN, DirectoryCache
from bridge.files.errors import NoSuchFile, NoSuchParent, NotDirectory
from bridge.files.node import Node, Nodes
from bridge.files.path import Path
from bridge.state.api import DirectoryState, TreeState
from bridge.store.api import NotFound


class Place(NamedTuple):
    """Where an entry belongs: the directories from the root to its parent, and its name.

    ``norms``: the path's names, normalized; ``sealed``: the last one, sealed for its parent.
    """

    chain: tuple[bytes, ...]
    norms: tuple[str, ...]
    name: str
    sealed: str
    key: str

    @property
    def parent(self) -> bytes:
        """The id of the directory that holds the entry."""
        return self.chain[-1]

    @property
    def norm(self) -> str:
        """The entry's name, normalized."""
        return self.norms[-1]


class Fate(Enum):
    """What has become of the directory a place was found in."""

    LINKED = "it is where it was"
    MOVED = "it is somewhere else in the tree"
    REMOVED = "it was deleted, or a directory above it was"


class _MissingError(Exception):
    """No directory at this step of the way."""


class Walker:
    """Finds directories and entries by path."""

    def __init__(self, nodes: Nodes, state: TreeState, cache: DirectoryCache, root: bytes) -> None:
        self._nodes = nodes
        self._layout = nodes.layout
        self._store = nodes.store
        self._state = state
        self._cache = cache
        self._root = root
        self._seal = lru_cache(maxsize=65_536)(nodes.keys.names.seal)

    def place(self, path: Path) -> Place:
        """The place of ``path``, which is not the root. Raises NoSuchParent."""
        return self._placed(path)[0]

    def at(self, chain: Sequence[bytes], norms: Sequence[str], name: str) -> Place:
        """The place of ``name`` in the last directory of ``chain``."""
        norm = normalize(name)
        sealed = self._seal(chain[-1], norm)
        key = self._layout.entry(chain[-1], sealed)
        return Place(tuple(chain), (*norms, norm), name, sealed, key)

    def find(self, path: Path) -> tuple[Place, Node | None]:
        """The place of ``path`` and what is there, from the cache or the store."""
        place, state = self._placed(path, state_of_parent=True)
        assert state is not None
        return place, self.look(place, state)

    def look(self, place: Place, state: DirectoryState, *, leased: bool = False) -> Node | None:
        """What is at ``place``; ``state`` of its parent was read before, under a lease or not."""
        known = self._cache.lookup(place.parent, place.norm, state, leased=leased)
        if known is not UNKNOWN:
            return known
        node = self.read(place)
        self._cache.learn(place.parent, place.norm, node, state)
        return node

    def read(self, place: Place) -> Node | None:
        """What is at ``place``, straight from the store."""
        try:
            info = self._store.stat(place.key)
        except NotFound:
            return None
        return self._nodes.from_info(place.norm, info)

    def directory(self, path: Path) -> tuple[bytes, DirectoryState, Node | None]:
        """A directory's id, state and node (None for the root). Raises NoSuchFile, NotDirectory."""
        if path.is_root:
            return self._root, self._state.read([self._root])[0], None
        _, node = self.find_existing(path)
        directory = node.directory_id
        if directory is None:
            raise NotDirectory(f"{path} is not a folder")
        return directory, self._state.read([directory])[0], node

    def find_existing(self, path: Path) -> tuple[Place, Node]:
        """As ``find``. Raises NoSuchFile when nothing is there or an ancestor is missing."""
        try:
            place, node = self.find(path)
        except NoSuchParent as error:
            raise NoSuchFile(str(error)) from None
        if node is None:
            raise NoSuchFile(f"nothing is at {path}")
        return place, node

    def fate(self, place: Place) -> Fate:
        """Whether the chain of directories to ``place`` still stands.

        Asked after a commit and before its answer, by the states and, where these moved on, by
        the store itself.
        """
        parents = place.chain[:-1]
        if not parents:
            return Fate.LINKED
        states = self._state.read(parents)
        fate = Fate.LINKED
        for step, state in enumerate(states):
            child = place.chain[step + 1]
            norm = place.norms[step]
            if not state.links_changing and self._cache.child(parents[step], norm) == (
                child,
                state.links,
            ):
                continue
            node = self.read(self.at(place.chain[: step + 1], place.norms[:step], norm))
            if node is not None and node.directory_id == child:
                continue
            if self._is_removed(child):
                return Fate.REMOVED
            fate = Fate.MOVED
        return fate

    def _is_removed(self, directory: bytes) -> bool:
        try:
            self._store.stat(self._layout.removed(directory))
        except NotFound:
            return False
        return True

    def _placed(
        self, path: Path, *, state_of_parent: bool = False
    ) -> tuple[Place, DirectoryState | None]:
        norms = tuple(map(normalize, path.names))
        try:
            chain, state = self._descend(norms[:-1], state_of_last=state_of_parent)
        except _MissingError:
            raise NoSuchParent(f"the folder of {path} does not exist") from None
        sealed = self._seal(chain[-1], norms[-1])
        key = self._layout.entry(chain[-1], sealed)
        return Place(tuple(chain), norms, path.names[-1], sealed, key), state

    def _descend(
        self, norms: Sequence[str], *, state_of_last: bool
    ) -> tuple[list[bytes], DirectoryState | None]:
        """Directory ids from the root along ``norms``: guessed from the cache, checked at once."""
        chain = [self._root]
        learned = []
        for norm in norms:
            guess = self._cache.child(chain[-1], norm)
            if guess is None:
                break
            chain.append(guess[0])
            learned.append(guess[1])
        asked = chain if state_of_last or len(chain) <= len(norms) else chain[:-1]
        states = self._state.read(asked) if asked else []
        for step, links in enumerate(learned):
            state = states[step]
            if state.links_changing or state.links != links:
                del chain[step + 1 :], states[step + 1 :]
                break
        while len(chain) <= len(norms):
            step = len(chain) - 1
            place = self.at(chain, norms[:step], norms[step])
            node = self.look(place, states[-1])
            child = node.directory_id if node is not None else None
            if child is None:
                raise _MissingError
            chain.append(child)
            states.append(self._state.read([child])[0])
        return chain, states[-1] if state_of_last else None
