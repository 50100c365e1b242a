"""Renaming or deleting a folder costs the same whatever it holds, and its space comes back."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bridge.app import Services
from bridge.files.reaper import Reaper
from bridge.settings import load
from tests.clients.configuration import configuration
from tests.clients.dav import Dav
from tests.clients.demos import NewDemo, stored
from tests.processes import Demo

SMALL = 10

LARGE = {
    "short": {"local": 1_000, "storj": 1_000},
    # Storj lists in pages of 1,000, so three show what ten do; the files take minutes to write.
    "long": {"local": 10_000, "storj": 3_000},
}


@pytest.mark.parametrize(
    "form",
    ["short", pytest.param("long", marks=[pytest.mark.long, pytest.mark.timeout(1800)])],
)
def test_a_large_folder_is_renamed_and_deleted_by_as_many_store_calls_as_a_small_one(
    form: str, store_kind: str, new_demo: NewDemo, tmp_path: Path
) -> None:
    large = LARGE[form][store_kind]
    with new_demo(tmp_path) as demo:
        dav = Dav(demo.url, demo.username, demo.password)
        before = stored(demo)
        for folder, count in (("small", SMALL), ("large", large)):
            fill(dav, folder, count)
        assert stored(demo) >= before + SMALL + large
        renamed = [
            store_calls(dav, partial(dav.move, name, f"{name} renamed"))
            for name in ("small", "large")
        ]
        assert renamed[0] == renamed[1]
        assert len(dav.names("large renamed")) == large
        deleted = [
            store_calls(dav, partial(dav.delete, f"{name} renamed")) for name in ("small", "large")
        ]
        assert deleted[0] == deleted[1]
        assert dav.names("") == []
    reap(demo)
    assert stored(demo) == before


def fill(dav: Dav, folder: str, count: int) -> None:
    """Make ``folder`` with ``count`` small files, eight at a time."""
    dav.mkcol(folder)
    with ThreadPoolExecutor(8) as pool:
        for answer in pool.map(
            lambda number: dav.request("PUT", f"{folder}/{number}", b"x" * 100), range(count)
        ):
            assert answer.status == 201


def store_calls(dav: Dav, change: Callable[[], None]) -> dict[str, int]:
    """How often the store was asked for what during ``change``, as the metrics count it.

    Without listings: the reaper, woken by a delete, lists what was removed in its own time.
    """
    before = counted(dav)
    change()
    spent = {name: count - before.get(name, 0) for name, count in counted(dav).items()}
    return {name: count for name, count in spent.items() if name != "list"}


def counted(dav: Dav) -> dict[str, int]:
    """Store calls so far by operation."""
    parts = urlsplit(dav.url)
    connection = HTTPConnection(parts.hostname or "", parts.port or 80, timeout=30)
    try:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    finally:
        connection.close()
    found = re.findall(r'\nstorj_bridge_store_seconds_count\{operation="(\w+)"\} (\S+)', text)
    assert found
    return {name: int(float(count)) for name, count in found}


def reap(demo: Demo) -> None:
    """Do at once what the reaper does after its time of grace, on the stopped demo's data."""
    settings = load(configuration(demo))
    with Services.open(settings) as services:
        Reaper(services.tenant().tree.vault, grace=0).reap()
