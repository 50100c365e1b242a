"""Fixtures shared by all tests."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import settings

from tests import secrecy
from tests.files.vault import OpenNew, storj_vault
from tests.network import building
from tests.network.client import Network
from tests.network.errors import GoMissing, NetworkError
from tests.network.values import Project
from tests.postgres import PostgreSQL, running_postgresql
from tests.processes import Demo
from tests.tools import missing

# An example's time says more about what else the machine does than about the code.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


def pytest_configure() -> None:
    """Let what tests start be interrupted, though a shell's background, which we may be in, is not.

    A process inherits that SIGINT is ignored.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--store",
        choices=("memory", "local", "storj"),
        help="run the suites of stores, trees and doors on this store, instead of the usual ones",
    )


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """One running ``storj-bridge demo`` for all tests of the session.

    A test that stops, kills or restarts it leaves it running again, or starts a ``Demo`` of
    its own.
    """
    with Demo(tmp_path_factory.mktemp("demo") / "data") as running:
        yield running


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """One PostgreSQL for all tests of the session that do it no harm, each in ``new_schema``."""
    with running_postgresql() as server:
        yield server
        secrecy.look_at_postgresql(server.url)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build the Storj network before the first test, where one will ask for it.

    Building takes minutes, which a test's time limit does not have.
    """
    config = session.config
    wanted = any(_needs_network(item) for item in session.items)
    if not wanted or config.option.collectonly:
        return
    try:
        building.program(say=lambda line: print(line, flush=True))
    except NetworkError:
        # Building again, which the fixture does, tells the tests that need it.
        return


def _needs_network(item: pytest.Item) -> bool:
    if "network_program" in getattr(item, "fixturenames", ()):
        return True
    if "open_new" in getattr(item, "fixturenames", ()):
        return bool(item.config.getoption("--store") == "storj")
    params = item.callspec.params if hasattr(item, "callspec") else {}
    return str(params.get("tree", "")).startswith("storj")


@pytest.fixture(scope="session")
def network_program() -> Path:
    """The program of the Storj network, for tests that start one of their own."""
    try:
        return building.program(say=print)
    except GoMissing as error:
        missing(str(error))
    except NetworkError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="session")
def network(network_program: Path) -> Iterator[Network]:
    """One real Storj network for all tests of the session, started when first asked for.

    A test has a ``storj_project`` of its own, which also ends whatever faults the test makes.
    """
    with Network() as running:
        yield running


@pytest.fixture
def storj_project(network: Network) -> Iterator[Project]:
    """A project of the network for one test; afterwards the network is whole again."""
    yield network.new_project()
    network.restore()


@pytest.fixture(scope="session")
def storj_vaults(network: Network) -> OpenNew:
    """Opens vaults on the network, each in a bucket of its own."""
    return partial(storj_vault, network, network.new_project())
