"""Fixtures of the client sessions: each works in a folder of its own of a running demo."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial

import pytest

from tests.clients.dav import Dav
from tests.clients.demos import NewDemo, StorjDemo, local_demo
from tests.network.client import Network
from tests.processes import Demo


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run on the local disk, and on what a module has in ``MORE_STORES``; or on one store alone.

    That is the one which ``--store`` names.
    """
    if "store_kind" in metafunc.fixturenames:
        only = metafunc.config.getoption("--store")
        more: Sequence[str] = getattr(metafunc.module, "MORE_STORES", ())
        stores = [only] if only else ["local", *more]
        metafunc.parametrize("store_kind", stores, indirect=True, scope="session")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let each test on Storj ask for the network's program, so that it is built beforehand."""
    for item in items:
        params = item.callspec.params if hasattr(item, "callspec") else {}
        if isinstance(item, pytest.Function) and params.get("store_kind") == "storj":
            item.fixturenames = [*item.fixturenames, "network_program"]


@pytest.fixture(scope="session")
def store_kind(request: pytest.FixtureRequest) -> str:
    """The store that a session's files are kept on: ``local`` or ``storj``."""
    if request.param == "memory":
        pytest.skip("no command of the bridge serves files from memory")
    return str(request.param)


@pytest.fixture(scope="session")
def new_demo(store_kind: str, request: pytest.FixtureRequest) -> NewDemo:
    """Makes demos of a test's own on this store."""
    if store_kind == "local":
        return local_demo
    # Only now is the network started.
    network: Network = request.getfixturevalue("network")
    return partial(StorjDemo, network, network.new_project())


@pytest.fixture(scope="session")
def demo(new_demo: NewDemo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """One running demo for all sessions on this store.

    A test that stops, kills or restarts a demo makes one of its own.
    """
    with new_demo(tmp_path_factory.mktemp("demo")) as running:
        yield running


@pytest.fixture
def dav(demo: Demo) -> Dav:
    """A plain client of the demo."""
    return Dav(demo.url, demo.username, demo.password)


@pytest.fixture
def folder(dav: Dav, request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of an empty folder at the demo's root, removed afterwards."""
    name = re.sub(r"\W+", "-", request.node.name)[:60]
    dav.delete(name)
    dav.mkcol(name)
    yield name
    dav.delete(name)


@pytest.fixture
def disk_only(store_kind: str) -> None:
    """Skip where files are not kept on a disk of this machine."""
    if store_kind != "local":
        pytest.skip("the store is no disk of this machine")
