"""Fixtures of the client sessions: each works in a folder of its own of the running demo."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.clients.dav import Dav
from tests.processes import Demo


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
