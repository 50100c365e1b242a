"""Passes that seal anew beside movers: one that finds nothing is proof that a key may go."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

import pytest

from bridge.crypto.age import generate_identity
from bridge.crypto.keyring import Keyring
from bridge.crypto.vault import VaultKeys
from bridge.files.resealer import Resealer
from bridge.files.vault_tree import VaultTree
from bridge.store.storj.store import StorjStore
from tests.files.script import path, read, write
from tests.files.vault import Vault, check_clean, end_refused_uploads

BIG = {"{x}big": "v" * 5_000}
FOLDERS = tuple(path(f"/folder {number}") for number in range(4))
MOST_PASSES = 50


class Mover:
    """Moves one file between folders and copies it back and forth, all the time."""

    def __init__(self, tree: VaultTree, number: int) -> None:
        self._tree = tree
        self._chance = random.Random(number)
        self._name = f"file {number}"
        self.content = self._name.encode() * 500
        self.place = FOLDERS[0].child(self._name)
        self.times = 0
        write(tree, self.place, self.content)
        if number % 2:
            tree.set_properties(self.place, set=BIG)

    def step(self) -> None:
        there = self._chance.choice([each for each in FOLDERS if each != self.place.parent])
        target = there.child(self._name)
        if self._chance.random() < 0.3:
            self._tree.copy(self.place, target, overwrite=True)
            self._tree.delete(self.place)
        else:
            self._tree.move(self.place, target, overwrite=True)
        self.place = target
        self.times += 1

    def check(self, tree: VaultTree) -> None:
        assert read(tree, self.place) == self.content
        assert tree.properties(self.place) in ({}, BIG)


class FolderMover:
    """Moves a folder with a file in it into others, and over a copy of itself."""

    def __init__(self, tree: VaultTree) -> None:
        self._tree = tree
        self.place = FOLDERS[0].child("within")
        self.times = 0
        tree.mkdir(self.place)
        write(tree, self.place.child("f"), b"within")
        tree.set_properties(self.place, set=BIG)

    def step(self) -> None:
        there = FOLDERS[self.times % len(FOLDERS)].child("within")
        if there != self.place:
            self._tree.copy(self.place, there, overwrite=True)
            self._tree.move(self.place, there, overwrite=True)
            self.place = there
        self.times += 1

    def check(self, tree: VaultTree) -> None:
        assert read(tree, self.place.child("f")) == b"within"
        assert tree.properties(self.place) == BIG


def at_work(steps: list[Callable[[], None]], done: threading.Event) -> list[threading.Thread]:
    def work(step: Callable[[], None]) -> None:
        while not done.is_set():
            step()

    threads = [threading.Thread(target=work, args=(step,)) for step in steps]
    for thread in threads:
        thread.start()
    return threads


@pytest.mark.parametrize(
    "rounds", [10, pytest.param(100, marks=[pytest.mark.long, pytest.mark.timeout(3600)])]
)
@pytest.mark.timeout(600)
def test_nothing_is_lost_to_a_key_that_goes_when_one_pass_has_found_nothing(
    vault: Vault, rounds: int
) -> None:
    if isinstance(vault.store, StorjStore):
        rounds = -(-rounds // 3)  # each takes as long as some hundred changes on the network
    keyring = Keyring.generate("tenant", generate_identity()[1])
    vault.keys = VaultKeys(keyring)
    tree = vault.tree()
    for folder in FOLDERS:
        tree.mkdir(folder)
    for number in range(40):
        write(tree, FOLDERS[number % len(FOLDERS)].child(f"still {number}"), b"still")
    movers: list[Mover | FolderMover] = [Mover(tree, number) for number in range(3)]
    movers.append(FolderMover(tree))
    passes = 0
    for _ in range(rounds):
        done = threading.Event()
        threads = at_work([mover.step for mover in movers], done)
        try:
            keyring = keyring.with_new_trk(b"before")
            vault.keys.take(keyring)
            begun = [mover.times for mover in movers]
            # What was begun under the old key is over when everybody has begun anew.
            while any(
                mover.times < before + 2 for mover, before in zip(movers, begun, strict=True)
            ):
                assert all(thread.is_alive() for thread in threads)
                done.wait(0.01)
            for _ in range(MOST_PASSES):
                passes += 1
                if not Resealer(vault.tree().vault, quiet=0.0).run().found:
                    break
            else:
                pytest.fail("no pass finds nothing")
            keyring = keyring.without_retired(b"between")
            vault.keys.take(keyring)
        finally:
            done.set()
            for thread in threads:
                thread.join(60)
        fresh = vault.tree()
        for mover in movers:
            mover.check(fresh)
        for folder in FOLDERS:
            assert not any(entry.damaged for entry in fresh.list(folder))
        for number in range(40):
            where = FOLDERS[number % len(FOLDERS)].child(f"still {number}")
            assert read(fresh, where) == b"still"
    print(f"{rounds} rounds, {passes} passes, {sum(mover.times for mover in movers)} moves")
    if isinstance(vault.store, StorjStore):
        end_refused_uploads(vault)
    check_clean(vault)
