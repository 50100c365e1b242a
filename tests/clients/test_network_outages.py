"""Outages of Storj as clients see them: clear statuses, nothing lost, and no restart needed."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPException
from pathlib import Path

import pytest

from tests.clients.dav import Answer, Dav
from tests.clients.demos import StorjDemo
from tests.clients.health import PATIENCE, healthy, plain_get, process_answers
from tests.clients.waiting import wait_until
from tests.network.client import NODES, Network
from tests.network.values import Project

ENV = {"STORJ_BRIDGE_STORE__CALL_SECONDS": "4", "STORJ_BRIDGE_STORE__RETRY_SECONDS": "3"}

MIB = 1 << 20
LARGE = random.Random(5).randbytes(24 * MIB)
OLD = b"old " * 50_000
"""Longer than the satellite keeps itself: on nodes."""


@pytest.fixture
def demo(network: Network, storj_project: Project, tmp_path: Path) -> Iterator[StorjDemo]:
    with StorjDemo(network, storj_project, tmp_path, env=ENV) as running:
        yield running
        network.restore()


@pytest.fixture
def dav(demo: StorjDemo) -> Dav:
    dav = Dav(demo.url, demo.username, demo.password)
    dav.mkcol("folder")
    dav.put("folder/file", OLD)
    return dav


def attempts(dav: Dav) -> dict[str, Callable[[], Answer]]:
    """Requests that need the satellite, whatever is cached."""
    there = {"Destination": dav.href("folder/moved")}
    return {
        "PUT new": lambda: dav.request("PUT", "folder/new", b"new"),
        "PUT over": lambda: dav.request("PUT", "folder/file", OLD),
        "GET": lambda: dav.request("GET", "folder/file"),
        "MKCOL": lambda: dav.request("MKCOL", "folder/made"),
        "MOVE": lambda: dav.request("MOVE", "folder/file", headers=there),
        "DELETE": lambda: dav.request("DELETE", "folder/file"),
    }


@pytest.mark.parametrize("fault", ["cut", "stall"])
def test_without_the_satellite_every_request_is_told_to_come_again(
    network: Network, demo: StorjDemo, dav: Dav, fault: str
) -> None:
    pid = demo.pid
    getattr(network, fault)("satellite")
    for name, attempt in attempts(dav).items():
        answer = attempt()
        assert answer.status == 503, (name, answer)
        assert "retry-after" in answer.headers, name
    assert process_answers(dav)
    wait_until(lambda: plain_get(dav, "/readyz") == 503, "the outage to be known", limit=PATIENCE)
    network.restore()
    assert healthy(dav)
    # A request that was given up may have been made: what is there is the old or the new state.
    if not dav.exists("folder/file"):
        dav.put("folder/file", OLD)
    assert dav.get("folder/file") == OLD
    dav.put("folder/after", b"after")
    assert dav.get("folder/after") == b"after"
    assert demo.pid == pid


def in_the_middle(change: Callable[[], object]) -> Iterator[bytes]:
    """LARGE in pieces; ``change`` runs before the second half."""
    for start in range(0, len(LARGE), MIB):
        if start == len(LARGE) // 2:
            change()
        yield LARGE[start : start + MIB]


@pytest.mark.parametrize("fault", ["cut", "stall"])
def test_an_upload_that_loses_its_nodes_leaves_the_old_file(
    network: Network, dav: Dav, fault: str
) -> None:
    length = {"Content-Length": str(len(LARGE))}
    body = in_the_middle(lambda: getattr(network, fault)(*NODES))
    try:
        answer = dav.request("PUT", "folder/file", body, length)
    except (OSError, HTTPException):
        pass  # closed while we still sent: no answer is no acknowledgement
    else:
        assert answer.status == 503, answer
        assert "retry-after" in answer.headers
    network.restore()
    assert dav.get("folder/file") == OLD
    dav.put("folder/file", LARGE)
    assert dav.get("folder/file") == LARGE


@pytest.mark.parametrize("fault", ["cut", "stall"])
def test_a_download_that_loses_its_nodes_never_looks_whole(
    network: Network, dav: Dav, fault: str
) -> None:
    dav.put("folder/file", LARGE)
    change = getattr(network, fault)
    change(*NODES)
    try:
        answer = dav.request("GET", "folder/file")
    except (OSError, HTTPException):
        pass  # cut before the length that was promised
    else:
        assert answer.status == 503, answer
    network.restore()
    assert dav.get("folder/file") == LARGE


def test_transfers_ride_out_connections_that_are_reset(network: Network, dav: Dav) -> None:
    """Every connection breaks again and again: what is acknowledged is there, whole."""
    over = threading.Event()

    def resets() -> None:
        while not over.wait(1.0):
            network.reset(*NODES, "satellite")

    breaking = threading.Thread(target=resets)
    breaking.start()
    written: dict[str, bytes] = {}
    try:
        deadline = time.monotonic() + 8
        number = 0
        while time.monotonic() < deadline:
            number += 1
            content = random.Random(number).randbytes(100_000)
            answer = dav.request("PUT", f"folder/{number}", content)
            assert answer.status in (201, 503), answer
            if answer.status == 201:
                written[f"folder/{number}"] = content
    finally:
        over.set()
        breaking.join()
    assert written
    assert {name: dav.get(name) for name in written} == written
