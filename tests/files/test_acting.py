"""Which of two stores is asked for what: the tenant's own, and the one that requests are made with.

The second stands for a credential's narrower grant. What it refuses does not happen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest

from bridge.files.api import FileTree
from bridge.files.errors import NoSuchParent, StorageForbidden
from bridge.store.api import Forbidden, ObjectStore
from bridge.store.wrapping import Operation, WrappedStore
from tests.files.script import drain, path, read, run, snapshot, write
from tests.files.vault import PREFIX, Vault

T = TypeVar("T")

CHANGES = frozenset({"put", "write", "commit", "delete", "delete_many", "copy", "move"}) | {
    "set_metadata"
}
LONG = {"{x:}long": "<x:long xmlns:x='x:'>" + "v" * 3_000 + "</x:long>"}
"""Properties that do not fit a record."""


class Noting(WrappedStore):
    """Notes each operation with the area of its key, and refuses those in ``refused``."""

    def __init__(self, inner: ObjectStore, refused: frozenset[str] = frozenset()) -> None:
        super().__init__(inner)
        self.refused = refused
        self.noted: set[str] = set()

    def around(self, operation: Operation, key: str, call: Callable[[], T]) -> T:
        if operation in self.refused:
            raise Forbidden("this grant does not allow it", key=key)
        self.noted.add(f"{operation} {key.removeprefix(PREFIX)[:2]}")
        return call()


def write_one(tree: FileTree) -> None:
    write(tree, "/d/new", b"x")


def overwrite(tree: FileTree) -> None:
    write(tree, "/d/f", b"y")


def write_long(tree: FileTree) -> None:
    write(tree, "/d/new", b"x" * (2 << 20))


def overwrite_with_long_properties(tree: FileTree) -> None:
    write(tree, "/d/spilled", b"y")


def read_one(tree: FileTree) -> None:
    drain(tree.open(path("/d/f")))


ASKED: dict[str, tuple[Callable[[FileTree], object], str, str]] = {
    # What is done, what the tenant's own store is asked, and what the acting one.
    "stat": (lambda tree: tree.stat(path("/d/f")), "stat d/", ""),
    "properties": (lambda tree: tree.properties(path("/d/f")), "stat d/", ""),
    "spilled properties": (
        lambda tree: tree.properties(path("/d/spilled")),
        "stat d/, get x/, read x/",
        "",
    ),
    "list": (lambda tree: list(tree.list(path("/d"))), "stat d/", "list d/"),
    "open": (read_one, "stat d/", "get d/, read d/"),
    "create": (write_one, "stat d/", "put d/, write d/, commit d/"),
    "create a long one": (write_long, "stat d/", "put d/, write d/, commit d/"),
    "create over a file": (overwrite, "stat d/", "put d/, write d/, commit d/"),
    "create over long properties": (
        overwrite_with_long_properties,
        "stat d/, get x/, read x/, delete x/",
        "put d/, write d/, commit d/, put x/, write x/, commit x/",
    ),
    "mkdir": (lambda tree: tree.mkdir(path("/d/new")), "stat d/", "put d/, commit d/"),
    "delete a file": (lambda tree: tree.delete(path("/d/f")), "stat d/", "delete d/"),
    "delete a file with long properties": (
        lambda tree: tree.delete(path("/d/spilled")),
        "stat d/, delete x/",
        "delete d/",
    ),
    # Its entry goes to r/ by a move, which needs more than the right to delete.
    "delete a folder": (lambda tree: tree.delete(path("/d/e")), "stat d/, move d/", "delete r/"),
    "move a file": (
        lambda tree: tree.move(path("/d/f"), path("/d/new"), overwrite=False),
        "stat d/",
        "move d/",
    ),
    "move a file to another look": (
        lambda tree: tree.move(path("/d/f"), path("/d/ne\u0301w"), overwrite=False),
        "stat d/",
        "set_metadata d/, move d/",
    ),
    "move a folder": (
        lambda tree: tree.move(path("/d/e"), path("/new"), overwrite=False),
        "stat d/",
        "move d/",
    ),
    "move over a folder": (
        lambda tree: tree.move(path("/d/f"), path("/d/e"), overwrite=True),
        "stat d/, move d/",
        "delete r/, move d/",
    ),
    "copy a file": (
        lambda tree: tree.copy(path("/d/f"), path("/d/new"), overwrite=False),
        "stat d/",
        "copy d/, set_metadata d/",
    ),
    "copy a file with long properties": (
        lambda tree: tree.copy(path("/d/spilled"), path("/d/new"), overwrite=False),
        "stat d/, get x/, read x/",
        "copy d/, put x/, write x/, commit x/, put d/, commit d/",
    ),
    "copy a folder": (
        lambda tree: tree.copy(path("/d/e"), path("/new"), overwrite=False),
        "stat d/, list d/, put c/, write c/, commit c/, delete c/",
        "copy d/, set_metadata d/, put d/, commit d/",
    ),
    "set properties": (
        lambda tree: tree.set_properties(path("/d/f"), set={"{x:}a": "<a/>"}),
        "stat d/",
        "set_metadata d/",
    ),
    "set long properties": (
        lambda tree: tree.set_properties(path("/d/f"), set=LONG),
        "stat d/",
        "put x/, write x/, commit x/, set_metadata d/",
    ),
    "usage": (lambda tree: tree.usage(), "list d/", ""),
}


@pytest.fixture
def filled(vault: Vault) -> Vault:
    tree = vault.tree()
    run(tree, "mkdir /d, write /d/f hello, mkdir /d/e, write /d/e/g 1, mkdir /d/e/h")
    write(tree, "/d/spilled", b"s")
    tree.set_properties(path("/d/spilled"), set=LONG)
    return vault


@pytest.mark.parametrize("what", ASKED)
def test_each_store_is_asked_for_its_part(filled: Vault, what: str) -> None:
    act, by_own, by_acting = ASKED[what]
    own, acting = Noting(filled.store), Noting(filled.store)
    act(filled.tree(own).acting_by(acting))
    assert own.noted == set(filter(None, by_own.split(", ")))
    assert acting.noted == set(filter(None, by_acting.split(", ")))


CHANGING = [
    what
    for what, (_, _, by_acting) in ASKED.items()
    if any(call.split()[0] in CHANGES for call in by_acting.split(", ") if call)
]


@pytest.mark.parametrize("what", CHANGING)
def test_nothing_changes_that_the_acting_store_refuses(filled: Vault, what: str) -> None:
    before = snapshot(filled.tree())
    properties = filled.tree().properties(path("/d/f"))
    view = filled.tree().acting_by(Noting(filled.store, CHANGES))
    with pytest.raises(StorageForbidden):
        ASKED[what][0](view)
    assert snapshot(filled.tree()) == before
    assert filled.tree().properties(path("/d/f")) == properties


@pytest.mark.parametrize("refused", ["get", "list"])
def test_what_the_acting_store_may_not_read_is_not_read(filled: Vault, refused: str) -> None:
    view = filled.tree().acting_by(Noting(filled.store, frozenset({refused})))
    with pytest.raises(StorageForbidden):
        read(view, "/d/f") if refused == "get" else list(view.list(path("/d")))


def test_who_may_delete_only_can_delete_folders(filled: Vault) -> None:
    view = filled.tree().acting_by(Noting(filled.store, CHANGES - {"delete"}))
    view.delete(path("/d/e"))
    run(filled.tree(), "none /d/e")
    filled.reap()
    assert filled.fsck() == []


def test_who_may_write_only_undoes_what_it_wrote_into_a_folder_deleted_meanwhile(
    filled: Vault,
) -> None:
    tree = filled.tree()
    writer = tree.acting_by(Noting(filled.store, frozenset({"delete", "move"}))).create(
        path("/d/e/new"), size=1
    )
    writer.write(b"x")
    tree.delete(path("/d"))
    with pytest.raises(NoSuchParent):
        writer.commit()
    filled.reap()
    assert filled.fsck() == []
    assert filled.keys_under(f"{PREFIX}d/") == []


def test_what_one_changes_the_others_see_at_once(filled: Vault) -> None:
    tree = filled.tree()
    one, other = (tree.acting_by(Noting(filled.store)) for _ in range(2))
    assert [entry.name for entry in one.list(path("/d/e"))] == ["g", "h"]
    run(other, "write /d/e/new x, delete /d/e/g")
    for view in (one, other, tree):
        run(view, "list /d/e h new, none /d/e/g, is /d/e/new x")
    assert one.reaper is tree.reaper
