"""Two who copy the same folder to the same place at once: one copy, and each by its own right."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from bridge.files import copies
from bridge.files.api import Entry
from bridge.files.errors import NotAllowed
from bridge.files.vault_tree import VaultTree
from tests.files.script import path, run, snapshot
from tests.files.vault import Vault

WAIT = 20.0


class Refusing:
    """A guard that refuses when it is asked the ``last`` time, once ``first`` has happened."""

    def __init__(self, words: str, last: int, first: threading.Event | None = None) -> None:
        self.asked = 0
        self.begun = threading.Event()
        self._words = words
        self._last = last
        self._first = first

    def __call__(self, _entry: Entry | None) -> None:
        self.asked += 1
        if self.asked < self._last:
            return
        self.begun.set()
        assert self._first is None or self._first.wait(WAIT)
        raise NotAllowed(self._words)


@pytest.fixture
def joined(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set when somebody waits for the copy of another."""
    event = threading.Event()

    class Watched(Future[bool]):
        def result(self, timeout: float | None = None) -> bool:
            event.set()
            return super().result(timeout)

    monkeypatch.setattr(copies, "Future", Watched)
    return event


@pytest.fixture
def shared(vault: Vault) -> VaultTree:
    tree = vault.tree()
    run(tree, "mkdir /d, write /d/f x")
    return tree


def _copy(shared: VaultTree, guard: Refusing) -> bool:
    return shared.copy(path("/d"), path("/copy"), overwrite=False, guard=guard)


def test_who_joins_is_not_refused_for_another(shared: VaultTree, joined: threading.Event) -> None:
    first = Refusing("a was revoked", 2, joined)  # when the copy is to be linked
    with ThreadPoolExecutor(1) as threads:
        one = threads.submit(_copy, shared, first)
        assert first.begun.wait(WAIT)
        assert shared.copy(path("/d"), path("/copy"), overwrite=False)
        with pytest.raises(NotAllowed, match="a was revoked"):
            one.result(WAIT)
    assert joined.is_set()
    assert snapshot(shared, path("/copy")) == {"f": b"x"}


def test_who_joins_and_may_not_either_is_refused_before_it_copies(
    shared: VaultTree, joined: threading.Event
) -> None:
    first, second = Refusing("a was revoked", 2, joined), Refusing("b was revoked", 2)
    with ThreadPoolExecutor(1) as threads:
        one = threads.submit(_copy, shared, first)
        assert first.begun.wait(WAIT)
        with pytest.raises(NotAllowed, match="b was revoked"):
            _copy(shared, second)
        with pytest.raises(NotAllowed, match="a was revoked"):
            one.result(WAIT)
    assert second.asked == 2
    assert snapshot(shared, path("/")) == {"d": {"f": b"x"}}
