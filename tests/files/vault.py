"""A whole vault for tests: store, state in SQLite, keys, and trees opened on them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path as FilePath

from bridge.crypto.keyring import Keyring
from bridge.crypto.vault import VaultKeys
from bridge.files.layout import Layout
from bridge.files.vault import Vault as OpenVault
from bridge.files.vault_tree import VaultTree
from bridge.state import open_state
from bridge.state.api import TreeState
from bridge.store.api import ObjectStore
from bridge.store.local import LocalStore
from bridge.store.memory import MemoryStore

PREFIX = "v/"
LAYOUT = Layout(PREFIX)
TENANT = bytes(range(16))


def make_keys() -> VaultKeys:
    """Keys of a new vault."""
    raise NotImplementedError


def make_tree(
    store: ObjectStore,
    state: TreeState,
    keys: VaultKeys,
    *,
    clock: Callable[[], float] = time.time,
    **options: int,
) -> VaultTree:
    """A tree with cold caches."""
    return VaultTree(OpenVault(store, keys, state, prefix=PREFIX, clock=clock, **options))


@dataclass
class Vault:
    """What a vault consists of. ``tree`` opens another instance, as another worker would."""

    store: ObjectStore
    state: TreeState
    keys: VaultKeys

    def tree(self, store: ObjectStore | None = None, **options: int) -> VaultTree:
        """A tree with cold caches, on ``store`` (a wrapper around this one's) if given."""
        return make_tree(store or self.store, self.state, self.keys, **options)

    def keys_under(self, prefix: str = PREFIX) -> list[str]:
        """Every key in the store under ``prefix``, sorted."""
        return sorted(info.key for info in self.store.list(prefix, recursive=True))


@contextmanager
def opened(store: ObjectStore, folder: FilePath) -> Iterator[Vault]:
    """A vault on ``store``, its state in ``folder``."""
    raise NotImplementedError
