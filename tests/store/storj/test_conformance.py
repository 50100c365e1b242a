"""The conformance suite on a real Storj network."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bridge.store.storj.store import StorjStore
from tests.network.client import Network
from tests.network.values import Project
from tests.store.conformance import StoreConformance
from tests.store.storj.opening import open_bucket


@pytest.fixture(scope="module")
def project(network: Network) -> Project:
    return network.new_project()


@pytest.fixture
def store(network: Network, project: Project) -> Iterator[StorjStore]:
    made = open_bucket(network, project)
    yield made
    made.close()


class TestStorj(StoreConformance):
    # A satellite on PostgreSQL, as this one, looks and writes at "read committed": of conditional
    # commits at the very same moment several may win, and the last one stays. Storj's own
    # satellites run on Spanner, where transactions are serializable.
    exclusive = False
