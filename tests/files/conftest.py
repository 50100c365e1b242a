"""The trees that the suites run on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path as FilePath

import pytest

from bridge.files.api import FileTree
from bridge.files.path import Path
from tests.files.model_tree import ModelTree
from tests.files.vault import Vault, apart_vault, local_vault, memory_vault

pytest.register_assert_rewrite("tests.files.script")

FreshFolder = Callable[[], tuple[FileTree, Path]]


@pytest.fixture
def vault(tmp_path: FilePath) -> Iterator[Vault]:
    """A vault in memory."""
    with memory_vault(tmp_path) as made:
        yield made


@pytest.fixture(params=["model", "memory", "local", "apart"])
def tree(request: pytest.FixtureRequest, tmp_path: FilePath) -> Iterator[FileTree]:
    """Every implementation of ``FileTree``, empty."""
    if request.param == "model":
        yield ModelTree()
        return
    opened = {"memory": memory_vault, "local": local_vault, "apart": apart_vault}
    with opened[request.param](tmp_path) as made:
        yield made.tree()


@pytest.fixture
def fresh_folder(tree: FileTree) -> FreshFolder:
    """Makes a new empty folder in one tree, for tests of many examples."""
    numbers = count()

    def make() -> tuple[FileTree, Path]:
        folder = Path((f"folder-{next(numbers)}",))
        tree.mkdir(folder)
        return tree, folder

    return make
