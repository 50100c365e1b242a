"""Servers to test the door on: over the model, and over a vault."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path as FilePath

import pytest

from bridge.files.api import FileTree
from bridge.state.api import Locks
from bridge.state.database import open_state
from tests.files.model_tree import ModelTree
from tests.files.vault import on_store
from tests.tenants.credentials import CONFINED, as_credential, locks_beside, plain_name
from tests.webdav.client import Client
from tests.webdav.server import Running, running


@pytest.fixture
def locks(tmp_path: FilePath) -> Iterator[Locks]:
    state = open_state(str(tmp_path / "locks.db"))
    yield state.locks("tenant")
    state.close()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run on the model and on a vault, and on what a module has in ``MORE_TREES``, or on one store.

    That is the one which ``--store`` names.
    """
    if "tree" in metafunc.fixturenames:
        only = metafunc.config.getoption("--store")
        more = getattr(metafunc.module, "MORE_TREES", ())
        trees = [only] if only else ["model", "memory", f"model{CONFINED}", *more]
        metafunc.parametrize("tree", trees, indirect=True)


@pytest.fixture
def tree(request: pytest.FixtureRequest, tmp_path: FilePath) -> Iterator[FileTree]:
    name = plain_name(request.param)
    if name == "model":
        yield as_credential(request.param, ModelTree())
        return
    folder = tmp_path / "vault"
    folder.mkdir()
    with on_store(name, request)(folder) as vault:
        yield as_credential(request.param, vault.tree())


@pytest.fixture
def server(tree: FileTree, locks: Locks) -> Iterator[Running]:
    with running(tree, locks_beside(tree, locks)) as server:
        yield server


@pytest.fixture
def dav(server: Running) -> Client:
    return server.client()


@pytest.fixture
def model(tmp_path: FilePath) -> ModelTree:
    """A tree for tests of the door alone."""
    return ModelTree()
