"""Fixtures shared by all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.processes import Demo

# An example's time says more about what else the machine does than about the code.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """One running ``storj-bridge demo`` for all tests of the session.

    A test that stops, kills or restarts it leaves it running again, or starts a ``Demo`` of
    its own.
    """
    with Demo(tmp_path_factory.mktemp("demo") / "data") as running:
        yield running
