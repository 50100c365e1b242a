"""The conformance suite on every store and every wrapper."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridge.store.api import ObjectStore
from bridge.store.limited import Gate, LimitedStore
from bridge.store.local import LocalStore
from bridge.store.logged import LoggedStore
from bridge.store.memory import MemoryStore
from bridge.store.metered import MeteredStore
from bridge.store.retrying import RetryingStore
from tests.store.conformance import StoreConformance
from tests.store.faulty import CountingStore, FaultyStore, Script
from tests.store.test_metered import Notebook

STORES: dict[str, Callable[[Path], ObjectStore]] = {
    "counting": lambda _root: CountingStore(MemoryStore()),
    "faulty": lambda _root: FaultyStore(MemoryStore(), Script()),
    "limited": lambda _root: LimitedStore(MemoryStore(), Gate(3, rate=1e6, burst=1000)),
    "local": lambda root: LocalStore(root / "store"),
    "logged": lambda _root: LoggedStore(MemoryStore(), calls=True),
    "memory": lambda _root: MemoryStore(),
    "metered": lambda _root: MeteredStore(MemoryStore(), Notebook()),
    "retrying": lambda _root: RetryingStore(MemoryStore(), limit=1.0),
    "all wrappers around local": lambda root: RetryingStore(
        LimitedStore(
            MeteredStore(LoggedStore(LocalStore(root / "store"), calls=False), Notebook()),
            Gate(8),
        )
    ),
}


@pytest.fixture(params=sorted(STORES))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ObjectStore]:
    made = STORES[request.param](tmp_path)
    yield made
    made.close()


class TestEveryStore(StoreConformance):
    pass
