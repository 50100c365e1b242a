"""The admin API over each Administration there is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bridge.crypto.keyring import Kek
from bridge.state.database import open_state
from bridge.tenants.api import Administration
from bridge.tenants.service import TenantService
from tests.admin.memory import MemoryAdministration
from tests.admin.server import Running, running
from tests.tenants.storage import Storage


@pytest.fixture(params=["memory", "service"])
def administration(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Administration]:
    """One with nothing in it: that of these tests, and the real one on a database."""
    if request.param == "memory":
        yield MemoryAdministration()
        return
    with closing(open_state(tmp_path / "state.db")) as state:
        yield TenantService(state, Storage(), (Kek(bytes(range(32))),))


@pytest.fixture
def server(administration: Administration) -> Iterator[Running]:
    with running(administration) as server:
        yield server


@pytest.fixture
def memory() -> MemoryAdministration:
    """For tests of the door alone."""
    return MemoryAdministration()
