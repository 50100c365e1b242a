"""Fixtures shared by all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.processes import Demo


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """One running ``storj-bridge demo`` for all tests of the session.

    A test that stops, kills or restarts it leaves it running again, or starts a ``Demo`` of
    its own.
    """
    with Demo(tmp_path_factory.mktemp("demo") / "data") as running:
        yield running
