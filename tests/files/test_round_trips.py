"""What each operation of the tree asks of a satellite, counted by the satellite itself.

A test that asks for less than it may is to be made stricter. What HTTP requests ask is in
``tests/webdav/test_round_trips.py``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path as FilePath

import pytest

from bridge.app import Services
from bridge.files.api import FileTree
from bridge.files.errors import NoSuchFile
from bridge.files.path import Path
from bridge.settings import load
from bridge.tenants.keks import new_kek
from tests.files.asked import Asked, Cost
from tests.network.client import Network
from tests.network.values import Project

INLINE = 3_000
ONE_SEGMENT = 64 << 10
STREAMED = 3 << 20

FILES = 1_000


@pytest.fixture
def asked(network: Network) -> Asked:
    return Asked(network)


@pytest.fixture
def services(
    network: Network, storj_project: Project, tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], Services]]:
    """Opens the bridge on one bucket, each time as after a restart."""
    monkeypatch.setenv("STORJ_BRIDGE_KEYS__KEK", new_kek())
    monkeypatch.setenv("STORJ_BRIDGE_TENANT__SECRET", "a secret of no account")
    monkeypatch.setenv("STORJ_BRIDGE_STORE__GRANT", storj_project.grant)
    store = {"kind": "storj", "bucket": network.new_bucket_name()}
    tenant = {"id": "main"}
    state = {"path": tmp_path / "state.db"}
    settings = load(None, {"store": store, "state": state, "tenant": tenant})
    opened: list[Services] = []

    def open_again() -> Services:
        while opened:
            opened.pop().close()
        opened.append(Services.open(settings, new_key=new_kek()))
        return opened[-1]

    yield open_again
    while opened:
        opened.pop().close()


def path(text: str) -> Path:
    return Path(tuple(text.split("/")))


def put(tree: FileTree, name: str, size: int) -> None:
    writer = tree.create(path(name), size=size)
    writer.write(os.urandom(size))
    writer.commit()


def get(tree: FileTree, name: str) -> None:
    with tree.open(path(name)) as reader:
        while reader.read(1 << 20):
            pass


def test_files(asked: Asked, services: Callable[[], Services]) -> None:
    tree = services().tenant().tree
    assert asked(lambda: tree.mkdir(path("f"))) == Cost(4, 2)
    put(tree, "f/known", 1)  # of the root, too new to be remembered, the folder is asked once more
    assert asked(lambda: put(tree, "f/inline", INLINE)) == Cost(3, 1)
    assert asked(lambda: put(tree, "f/inline", INLINE)) == Cost(3, 1)
    assert asked(lambda: put(tree, "f/segment", ONE_SEGMENT)) == Cost(4, 2)
    assert asked(lambda: put(tree, "f/segment", ONE_SEGMENT)) == Cost(4, 2)
    assert asked(lambda: put(tree, "f/streamed", STREAMED)) == Cost(4, 4)
    assert asked(lambda: get(tree, "f/inline")) == Cost(1, 1)
    assert asked(lambda: get(tree, "f/segment")) == Cost(1, 1)
    assert asked(lambda: tree.stat(path("f/inline"))) == Cost(0, 0)
    assert asked(lambda: tree.move(path("f/inline"), path("f/moved"), overwrite=False)) == (2, 2)
    assert asked(lambda: tree.copy(path("f/segment"), path("f/copy"), overwrite=False)) == (4, 4)
    assert asked(lambda: tree.set_properties(path("f/moved"), set={"{x:}a": "1"})) == Cost(2, 2)
    assert asked(lambda: tree.delete(path("f/moved"))) == Cost(1, 1)


def test_files_of_which_nothing_is_known(asked: Asked, services: Callable[[], Services]) -> None:
    """One look for the folder, one for each name; the files' names are then known."""
    services().tenant().tree.mkdir(path("f"))
    tree = services().tenant().tree
    with pytest.raises(NoSuchFile):
        tree.stat(path("nothing"))  # the first one of a store costs one more: is there a bucket?
    assert asked(lambda: put(tree, "f/inline", INLINE)) == Cost(5, 3)
    assert asked(lambda: put(tree, "f/segment", ONE_SEGMENT)) == Cost(5, 3)
    assert asked(lambda: tree.move(path("f/inline"), path("f/moved"), overwrite=False)) == (3, 3)
    assert asked(lambda: tree.copy(path("f/segment"), path("f/copy"), overwrite=False)) == (5, 5)


def test_folders(asked: Asked, services: Callable[[], Services]) -> None:
    tree = services().tenant().tree
    tree.mkdir(path("f"))
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: put(tree, f"f/{number}", 1), range(FILES)))
    tree = services().tenant().tree
    with pytest.raises(NoSuchFile):
        tree.stat(path("nothing"))  # the first one of a store costs one more: is there a bucket?
    assert asked(lambda: list(tree.list(path("f")))) == Cost(2, 2)
    assert asked(lambda: list(tree.list(path("f")))) == Cost(0, 0)
    # The third: is anything at the target?
    assert asked(lambda: tree.move(path("f"), path("g"), overwrite=False)) == Cost(3, 3)
    assert asked(lambda: list(tree.list(path("g")))) == Cost(0, 0)
    assert asked(lambda: tree.delete(path("g"))) == Cost(2, 2)
