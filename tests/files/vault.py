"""A whole vault for tests: store, state in SQLite, keys, and trees opened on them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path as FilePath
from typing import Protocol

import pytest

from bridge.crypto.age import generate_identity
from bridge.crypto.keyring import Keyring
from bridge.crypto.vault import VaultKeys
from bridge.files.content import STANDALONE
from bridge.files.fsck import Fsck
from bridge.files.layout import Layout, id_bytes
from bridge.files.path import Path
from bridge.files.reaper import Reaper
from bridge.files.vault import Vault as OpenVault
from bridge.files.vault_tree import VaultTree
from bridge.state.api import TreeState
from bridge.state.database import open_state
from bridge.store.api import ObjectStore
from bridge.store.local import LocalStore
from bridge.store.memory import MemoryStore
from bridge.store.storj.store import StorjStore
from tests.files.storj_store import open_tested
from tests.network.client import Network
from tests.network.values import Project

PREFIX = "v/"
LAYOUT = Layout(PREFIX)


class Clock:
    """Unix seconds that pass only when told to, and by a millisecond with each look."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        self.now += 0.001
        return self.now

    def forward(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


class NetworkClock(Clock):
    """The time by which a satellite dates objects, ahead of it by what was told to pass."""

    def __init__(self) -> None:
        super().__init__(0.0)

    def __call__(self) -> float:
        return time.time() + self.now


def make_keys() -> VaultKeys:
    """Keys of a new vault."""
    _, recipient = generate_identity()
    return VaultKeys(Keyring.generate("tenant", recipient))


def make_tree(
    store: ObjectStore,
    state: TreeState,
    keys: VaultKeys,
    *,
    clock: Callable[[], float] = time.time,
    cache_names: int = 100_000,
    standalone: int = STANDALONE,
) -> VaultTree:
    """A tree with cold caches."""
    return VaultTree(
        OpenVault(
            store,
            keys,
            state,
            prefix=PREFIX,
            clock=clock,
            cache_names=cache_names,
            standalone=standalone,
        )
    )


@dataclass
class Vault:
    """What a vault consists of; time passes by ``clock`` alone, but for the state's."""

    store: ObjectStore
    state: TreeState
    keys: VaultKeys
    clock: Clock
    folder: FilePath
    stack: ExitStack
    standalone: int = STANDALONE
    _numbers: Iterator[int] = field(default_factory=count)

    def tree(
        self,
        store: ObjectStore | None = None,
        *,
        state: TreeState | None = None,
        cache_names: int = 100_000,
    ) -> VaultTree:
        """A tree with cold caches, on a wrapper around this vault's store if given."""
        return make_tree(
            store or self.store,
            state or self.state,
            self.keys,
            clock=self.clock,
            cache_names=cache_names,
            standalone=self.standalone,
        )

    def blind_tree(self, store: ObjectStore | None = None) -> VaultTree:
        """A tree that sees nobody's leases nor generations: a worker whose leases were lost."""
        path = self.folder / f"blind-{next(self._numbers)}.db"
        state = self.stack.enter_context(open_state(path))
        return self.tree(store, state=state.tree("vault"))

    def keys_under(self, prefix: str = PREFIX) -> list[str]:
        """Every key in the store under ``prefix``, sorted."""
        return sorted(info.key for info in self.store.list(prefix, recursive=True))

    def key_of(self, *names: str) -> str:
        """The key of the entry at a path."""
        return self.tree().vault.walker.place(Path(names)).key

    def reap(self) -> None:
        """Empty every removed directory, whatever its age."""
        Reaper(self.tree().vault, grace=0).reap()

    def fsck(self, *, repair: bool = False, min_age: float = 0) -> list[str]:
        """The names of what fsck finds."""
        report = Fsck(self.tree(), repair=repair, min_age=min_age).run()
        return sorted(problem.finding.name for problem in report.problems)


@contextmanager
def opened(store: ObjectStore, folder: FilePath, clock: Clock) -> Iterator[Vault]:
    """A vault on ``store``, its state in ``folder``."""
    with ExitStack() as stack:
        stack.callback(store.close)
        state = stack.enter_context(open_state(folder / "state.db"))
        yield Vault(store, state.tree("vault"), make_keys(), clock, folder, stack)


@contextmanager
def memory_vault(folder: FilePath, *, standalone: int = STANDALONE) -> Iterator[Vault]:
    """A vault in memory, its state in ``folder``."""
    clock = Clock()
    with opened(MemoryStore(clock), folder, clock) as vault:
        vault.standalone = standalone
        yield vault


@contextmanager
def local_vault(folder: FilePath, *, standalone: int = STANDALONE) -> Iterator[Vault]:
    """A vault on the local disk, all in ``folder``."""
    clock = Clock()
    with opened(LocalStore(folder / "store", clock=clock), folder, clock) as vault:
        vault.standalone = standalone
        yield vault


@contextmanager
def storj_vault(
    network: Network, project: Project, folder: FilePath, *, standalone: int = STANDALONE
) -> Iterator[Vault]:
    """A vault in a new bucket of ``project``, its state in ``folder``."""
    clock = NetworkClock()
    store = open_tested(network, project, lambda: clock.now)
    with opened(store, folder, clock) as vault:
        vault.standalone = standalone
        yield vault


class OpenNew(Protocol):
    """Opens a new vault on one kind of store, its state in ``folder``."""

    def __call__(
        self, folder: FilePath, *, standalone: int = ...
    ) -> AbstractContextManager[Vault]: ...


def on_store(name: str, request: pytest.FixtureRequest) -> OpenNew:
    """What opens vaults on the store that ``--store`` calls ``name``."""
    if name == "storj":
        # Only now is the network started.
        found: OpenNew = request.getfixturevalue("storj_vaults")
        return found
    return {"memory": memory_vault, "local": local_vault}[name]


def end_refused_uploads(vault: Vault) -> None:
    """Remove what a commit that was refused leaves on Storj: an upload that nobody finished."""
    left = {"STALE_UPLOAD"} if isinstance(vault.store, StorjStore) else set()
    assert set(vault.fsck(repair=True)) <= left


def check_clean(vault: Vault) -> None:
    """Nothing is wrong, and every object belongs to something that the root reaches."""
    vault.reap()
    assert vault.fsck() == []
    tree = vault.tree().vault
    reached = {tree.root}
    waiting = [tree.root]
    while waiting:
        for node in tree.nodes.in_directory(waiting.pop()):
            if node.directory_id is not None:
                reached.add(node.directory_id)
                waiting.append(node.directory_id)
    stray = [
        key
        for key in vault.keys_under(LAYOUT.directories)
        if id_bytes(key.split("/")[2]) not in reached
    ]
    assert stray == []
    assert vault.keys_under(LAYOUT.removals) == []
    assert vault.keys_under(LAYOUT.intents) == []
