"""How many store calls an operation may make. On a network each costs tens of milliseconds."""

from __future__ import annotations

from collections import Counter

import pytest

from bridge.files.path import Path
from tests.files.script import drain, names, path, run, write
from tests.files.scripted_store import ScriptedStore
from tests.files.vault import Vault


@pytest.fixture
def store(vault: Vault) -> ScriptedStore:
    return ScriptedStore(vault.store)


DEEP = "mkdir /a, mkdir /a/b, mkdir /a/b/c, write /a/b/c/f x, mkdir /d, write /d/g y, write /f z"
WARM = "is /a/b/c/f x, is /d/g y, is /f z, list / a d f, list /a b, list /a/b/c f, list /d g"

BUDGETS: dict[str, dict[str, int]] = {
    "open /a/b/c/f": {"get": 1},
    "write /a/b/c/new x": {"stat": 1, "commit": 1},
    "write /a/b/c/f x": {"stat": 1, "commit": 1},
    "mkdir /a/b/c/new": {"stat": 1, "commit": 1},
    "delete /a/b/c/f": {"stat": 1, "delete": 1},
    "delete /a/b": {"stat": 1, "move": 1},
    "move /a/b/c/f /d/new": {"stat": 2, "move": 1},
    "move! /a/b/c/f /d/g": {"stat": 2, "move": 1},
    "move /a/b /d/b": {"stat": 2, "move": 1},
    "copy /a/b/c/f /d/new": {"stat": 2, "copy": 1, "set_metadata": 1},
    "set /a/b/c/f {x}p v": {"stat": 1, "set_metadata": 1},
    "folder /a/b/c": {},
    "stat /a/b/c/f": {},
    "none /a/b/c/none": {},
    "none /a/none/none": {},
    "list /a/b/c f": {},
    "props /a/b/c/f": {},
}


@pytest.mark.parametrize("script", BUDGETS)
def test_an_operation_on_known_folders_keeps_to_its_store_calls(
    vault: Vault, store: ScriptedStore, script: str
) -> None:
    tree = vault.tree(store)
    run(tree, DEEP)
    run(tree, WARM)
    store.calls.clear()
    run(tree, script)
    used = Counter(call.name for call in store.calls)
    allowed = Counter(BUDGETS[script])
    assert used <= allowed, store.calls


def test_an_operation_in_unknown_folders_adds_one_stat_for_each(
    vault: Vault, store: ScriptedStore
) -> None:
    run(vault.tree(), DEEP)
    drain(vault.tree(store).open(path("/a/b/c/f")))
    assert Counter(call.name for call in store.calls) <= Counter(stat=3, get=1)
    store.calls.clear()
    write(vault.tree(store), "/a/b/c/new", b"x")
    assert Counter(call.name for call in store.calls) <= Counter(stat=4, commit=1)


def test_a_listing_is_one_call_and_none_when_known(vault: Vault, store: ScriptedStore) -> None:
    for number in range(30):
        write(vault.tree(), f"/{number}", b"x")
    tree = vault.tree(store)
    assert len(names(tree, "/")) == 30
    assert [call.name for call in store.calls] == ["list"]
    store.calls.clear()
    assert len(names(tree, "/")) == 30
    assert tree.stat(path("/7")).size == 1
    run(tree, "none /none")
    assert store.calls == []


def test_own_writes_do_not_empty_the_cache(vault: Vault, store: ScriptedStore) -> None:
    tree = vault.tree(store)
    run(tree, "mkdir /d, list /d, list / d")
    for number in range(5):
        write(tree, f"/d/{number}", b"x")
    run(tree, "delete /d/3, move /d/4 /d/6, mkdir /d/e")
    store.calls.clear()
    assert names(tree, "/d") == ["0", "1", "2", "6", "e"]
    assert [entry.size for entry in tree.list(path("/d")) if not entry.is_directory] == [1] * 4
    assert store.calls == []


def test_who_changes_a_folder_beside_others_looks_up_no_more(
    vault: Vault, store: ScriptedStore
) -> None:
    tree = vault.tree(store)
    run(tree, "mkdir /d, write /d/old x")
    store.calls.clear()
    script = "write /d/new y, write /d/old y, mkdir /d/e"
    store.on("commit", lambda _: run(tree, script))  # while the file beside is not yet there
    write(tree, "/d/slow", b"x")
    assert store.done
    assert store.count("stat") == 0, store.calls
    assert names(tree, "/d") == ["e", "new", "old", "slow"]
    assert [call.name for call in store.calls if call.name == "list"] == []


def test_a_name_that_another_process_changed_is_looked_up(
    vault: Vault, store: ScriptedStore
) -> None:
    tree, other = vault.tree(store), vault.tree()
    run(tree, "mkdir /d, write /d/old x")
    run(other, "write /d/new theirs, delete /d/old")
    store.calls.clear()
    write(tree, "/d/new", b"ours")
    write(tree, "/d/old", b"ours")
    assert store.count("stat") == 2
    assert drain(other.open(path("/d/new"))) == b"ours"
    store.on("commit", lambda _: run(other, "write /d/third theirs"))
    write(tree, "/d/fourth", b"x")
    store.calls.clear()
    write(tree, "/d/third", b"ours")
    assert store.count("stat") == 1
    assert drain(other.open(path("/d/third"))) == b"ours"


def _children(vault: Vault, count: int) -> None:
    """A folder of ``count`` files, the same body under every name: quick to make."""
    tree = vault.tree()
    tree.mkdir(path(f"/n{count}"))
    write(tree, f"/n{count}/0", b"x")
    inside = tree.vault
    first = inside.walker.place(path(f"/n{count}/0"))
    for number in range(1, count):
        place = inside.walker.at(first.chain, first.norms[:-1], str(number))
        vault.store.copy(first.key, place.key)


@pytest.mark.parametrize("script", ["move /n{0} /moved{0}", "delete /n{0}"])
def test_a_folder_of_any_size_is_renamed_and_deleted_by_the_same_calls(
    vault: Vault, store: ScriptedStore, script: str
) -> None:
    used = []
    for count in (10, 10_000):
        _children(vault, count)
        tree = vault.tree(store)
        assert tree.stat(Path((f"n{count}",))).is_directory
        store.calls.clear()
        run(tree, script.format(count))
        used.append(Counter(call.name for call in store.calls))
    assert used[0] == used[1]
    assert used[1].total() <= 6
