"""The trees that the suites run on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path as FilePath

import pytest

from bridge.files.api import FileTree
from bridge.files.content import STANDALONE
from bridge.files.path import Path
from tests.files.model_tree import ModelTree
from tests.files.vault import OpenNew, Vault, on_store
from tests.tenants.credentials import as_credential, plain_name

pytest.register_assert_rewrite("tests.files.script")

FreshFolder = Callable[[], tuple[FileTree, Path]]


APART = " apart"
"""Ends the name of a vault whose bodies stand apart from their entries, as those of huge files."""

TREES = ("model", "memory", "local", f"memory{APART}")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run on every tree, and on those a module has in ``MORE_TREES``, or on ``--store`` alone."""
    if "tree" in metafunc.fixturenames:
        only = metafunc.config.getoption("--store")
        trees = (*TREES, *getattr(metafunc.module, "MORE_TREES", ()))
        if only:
            trees = (only, f"{only}{APART}")
        metafunc.parametrize("tree", trees, indirect=True)


@pytest.fixture
def open_new(request: pytest.FixtureRequest) -> OpenNew:
    """Opens vaults in memory, or on the store that ``--store`` names."""
    return on_store(request.config.getoption("--store") or "memory", request)


@pytest.fixture
def vault(open_new: OpenNew, tmp_path: FilePath) -> Iterator[Vault]:
    """A vault in memory, or on the store that ``--store`` names."""
    with open_new(tmp_path) as made:
        yield made


@pytest.fixture
def tree(request: pytest.FixtureRequest, tmp_path: FilePath) -> Iterator[FileTree]:
    """Every implementation of ``FileTree``, empty."""
    name: str = plain_name(request.param)
    if name == "model":
        yield as_credential(request.param, ModelTree())
        return
    standalone = 1 if name.endswith(APART) else STANDALONE
    with on_store(name.removesuffix(APART), request)(tmp_path, standalone=standalone) as made:
        yield as_credential(request.param, made.tree())


@pytest.fixture
def fresh_folder(tree: FileTree) -> FreshFolder:
    """Makes a new empty folder in one tree, for tests of many examples."""
    numbers = count()

    def make() -> tuple[FileTree, Path]:
        folder = Path((f"folder-{next(numbers)}",))
        tree.mkdir(folder)
        return tree, folder

    return make
