"""Stores of one process share their connections, and cannot harm each other by them."""

from __future__ import annotations

import gc
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Self

import pytest

from bridge.store.api import Forbidden, Unavailable
from bridge.store.deadline import deadline
from bridge.store.storj import control
from bridge.store.storj.store import StorjOptions, StorjStore
from tests.network.client import PEERS, Network
from tests.network.values import Project
from tests.store.objects import read, write
from tests.store.storj import grants
from tests.store.storj.opening import USER_AGENT, new_bucket

ON_NODES = b"n" * 70_000
STREAMED = b"s" * (2 << 20)

Opener = Callable[[str], StorjStore]


@pytest.fixture
def bucket(network: Network, storj_project: Project) -> str:
    return new_bucket(network, storj_project)


@pytest.fixture
def opened(bucket: str) -> Iterator[Opener]:
    """Opens the bucket by a grant, until the test is over."""
    stores: list[StorjStore] = []

    def open_it(text: str) -> StorjStore:
        stores.append(StorjStore(text, bucket, StorjOptions(USER_AGENT, call_seconds=20.0)))
        return stores[-1]

    yield open_it
    for store in stores:
        store.close()


def _use(store: StorjStore, folder: str) -> None:
    """What goes by uplink's own project, and what does not."""
    write(store, f"{folder}small", b"content")
    write(store, f"{folder}object", ON_NODES)
    write(store, f"{folder}long", STREAMED)
    assert read(store, f"{folder}object") == ON_NODES
    store.move(f"{folder}object", f"{folder}moved")
    store.delete(f"{folder}moved")


def _dialled(network: Network) -> dict[str, int]:
    proxies = network.proxies()
    return {peer: proxies[peer].accepted for peer in PEERS}


def test_stores_that_come_and_go_dial_no_more_than_one(
    network: Network, storj_project: Project, bucket: str
) -> None:
    def come_and_go(number: int) -> None:
        store = StorjStore(storj_project.grant, bucket, StorjOptions(f"agent-{number}/1.0"))
        _use(store, f"{number}/")
        store.close()

    rounds = 20
    come_and_go(0)
    come_and_go(1)
    before, descriptors = _dialled(network), len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for number in range(2, 2 + rounds):
        come_and_go(number)
    for peer, accepted in _dialled(network).items():
        # A connection that still has something to end is left alone, and another one dialled: on
        # a busy machine now and then.
        assert accepted - before[peer] <= rounds / 2, peer
    assert len(os.listdir("/proc/self/fd")) <= descriptors + 10  # noqa: PTH208


def test_an_open_store_costs_no_connection(
    network: Network, storj_project: Project, bucket: str
) -> None:
    before = _dialled(network)
    stores = [StorjStore(storj_project.grant, bucket, StorjOptions(USER_AGENT)) for _ in range(500)]
    assert _dialled(network) == before
    for store in stores:
        store.close()


def test_a_closed_store_ends_its_own_calls_alone(
    network: Network, storj_project: Project, opened: Opener
) -> None:
    first, second = opened(storj_project.grant), opened(storj_project.grant)
    write(first, "x", b"content")
    assert second.stat("x").size == 7
    upload = second.put("long")
    upload.write(STREAMED)
    download = second.get("x")
    network.stall("satellite")
    with ThreadPoolExecutor(2) as pool:
        ended, going_on = pool.submit(first.stat, "x"), pool.submit(second.stat, "x")
        time.sleep(0.5)  # both ask by now
        first.close()
        assert isinstance(ended.exception(10), Unavailable)
        assert not going_on.done()
        network.restore()
        assert going_on.result(20).size == 7
    buffer = bytearray(10)
    assert download.readinto(memoryview(buffer)) == 7
    upload.commit({})
    assert read(second, "long") == STREAMED
    with pytest.raises(Unavailable):
        first.stat("x")


def test_a_connection_that_a_closed_store_waited_on_is_nobody_elses(
    network: Network, storj_project: Project, opened: Opener
) -> None:
    """Whoever is closed may have been waiting for an answer that never comes."""
    first, second = opened(storj_project.grant), opened(storj_project.grant)
    write(second, "x", b"content")
    lost = network.proxies()["satellite"].lost
    network.lose("GetObject", silent=True)
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(first.stat, "x")
        until = time.monotonic() + 10
        while network.proxies()["satellite"].lost == lost:
            assert time.monotonic() < until
            time.sleep(0.01)
        first.close()
        assert isinstance(ended.exception(10), Unavailable)
    with deadline(5):
        assert [second.stat("x").size for _ in range(5)] == [7] * 5


def test_a_dropped_store_goes_when_its_last_transfer_does(
    storj_project: Project, bucket: str
) -> None:
    gc.collect()
    before = control.handles()
    store = StorjStore(storj_project.grant, bucket, StorjOptions(USER_AGENT))
    upload = store.put("x")
    upload.write(STREAMED)
    listing = store.list("")
    del store
    gc.collect()
    upload.commit({})
    del upload
    gc.collect()
    assert control.handles() == before + 1
    assert [info.key for info in listing] == ["x"]
    gc.collect()
    assert control.handles() == before


class _Detour:
    """Another way to a peer, which somebody keeps: it carries all to and fro until it is held."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._peer = (host, int(port))
        self._server = socket.create_server(("127.0.0.1", 0))
        self._ends: list[socket.socket] = [self._server]
        self._held = threading.Event()
        self.carried = 0
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._server.accept()
                far = socket.create_connection(self._peer)
                self._ends += [near, far]
                for source, target in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=(source, target), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                if not self._held.is_set():
                    self.carried += len(data)
                    target.sendall(data)

    def hold(self) -> None:
        """Acknowledge everything from now on, and pass on nothing."""
        self._held.set()

    def __exit__(self, *_error: object) -> None:
        for end in self._ends:
            end.close()


def test_nobodys_calls_go_by_the_way_that_anothers_grant_names(
    storj_project: Project, opened: Opener
) -> None:
    """A tenant may bring a grant, and with it an address that only passes on what it gets."""
    address = storj_project.satellite.partition("@")[2]
    with _Detour(address) as detour:
        direct = opened(storj_project.grant)
        theirs = opened(grants.at(detour.address, storj_project.grant))
        for _ in range(3):
            write(theirs, "x", b"content")
            write(direct, "y", b"content")
        assert read(theirs, "y") == b"content"
        carried = detour.carried
        assert carried
        for _ in range(3):
            assert read(direct, "x") == b"content"
        assert detour.carried == carried
        detour.hold()
        with ThreadPoolExecutor(8) as pool, deadline(5):
            assert list(pool.map(lambda _: direct.stat("x").size, range(8))) == [7] * 8
        with deadline(1), pytest.raises(Unavailable):
            theirs.stat("x")


def test_a_grant_without_the_satellites_own_id_is_no_way_in(
    storj_project: Project, opened: Opener
) -> None:
    address = storj_project.satellite.partition("@")[2]
    write(opened(storj_project.grant), "x", b"content")
    false = grants.grant(satellite=f"{grants.SATELLITE_ID}@{address}")
    with pytest.raises(Forbidden, match="not the satellite"):
        opened(false).stat("x")


def test_what_is_kept_does_not_grow_with_stores_that_were(storj_project: Project) -> None:
    def resident() -> int:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def round_of_stores() -> None:
        stores = [
            StorjStore(storj_project.grant, "b", StorjOptions(USER_AGENT)) for _ in range(500)
        ]
        assert len({id(store) for store in stores}) == 500

    for _ in range(3):
        round_of_stores()
    gc.collect()
    before = resident()
    for _ in range(10):
        round_of_stores()
    gc.collect()
    assert resident() - before < 16 << 20
