"""The admin API over the real service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.admin.server import Running, running
from tests.admin.watched import Watched


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    """A service with nothing in it."""
    watched = Watched(tmp_path)
    with closing(watched.state):
        yield watched


@pytest.fixture
def server(watched: Watched) -> Iterator[Running]:
    with running(watched) as server:
        yield server
