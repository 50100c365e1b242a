"""Servers to test the door on: over the model, and over a vault in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path as FilePath

import pytest

from bridge.files.api import FileTree
from bridge.state.api import Locks
from bridge.state.database import open_state
from tests.files.model_tree import ModelTree
from tests.files.vault import memory_vault
from tests.webdav.client import Client
from tests.webdav.server import Running, running


@pytest.fixture
def locks(tmp_path: FilePath) -> Iterator[Locks]:
    state = open_state(str(tmp_path / "locks.db"))
    yield state.locks("tenant")
    state.close()


@pytest.fixture(params=["model", "vault"])
def tree(request: pytest.FixtureRequest, tmp_path: FilePath) -> Iterator[FileTree]:
    if request.param == "model":
        yield ModelTree()
        return
    folder = tmp_path / "vault"
    folder.mkdir()
    with memory_vault(folder) as vault:
        yield vault.tree()


@pytest.fixture
def server(tree: FileTree, locks: Locks) -> Iterator[Running]:
    with running(tree, locks) as server:
        yield server


@pytest.fixture
def dav(server: Running) -> Client:
    return server.client()


@pytest.fixture
def model(tmp_path: FilePath) -> ModelTree:
    """A tree for tests of the door alone."""
    return ModelTree()
