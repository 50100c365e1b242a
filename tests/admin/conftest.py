"""The admin API over each Administration there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from bridge.tenants.api import Administration
from tests.admin.memory import MemoryAdministration
from tests.admin.server import Running, running

ADMINISTRATIONS: dict[str, Callable[[], Administration]] = {"memory": MemoryAdministration}


@pytest.fixture(params=sorted(ADMINISTRATIONS))
def administration(request: pytest.FixtureRequest) -> Administration:
    """One with nothing in it."""
    return ADMINISTRATIONS[request.param]()


@pytest.fixture
def server(administration: Administration) -> Iterator[Running]:
    with running(administration) as server:
        yield server


@pytest.fixture
def memory() -> MemoryAdministration:
    """For tests of the door alone."""
    return MemoryAdministration()
