"""Long downloads, which read several spans of an object at the same time."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from bridge.store.api import Download, NotFound
from bridge.store.storj.store import SEGMENT, StorjStore
from tests.network.client import NODES, Network
from tests.network.values import Requests
from tests.store.objects import write
from tests.store.storj.opening import open_bucket

MIB = 1 << 20
SPAN = 8 * MIB

CONTENT = random.Random(7).randbytes(SEGMENT + 3 * SPAN + 12_345)

PIECE = 512 << 10


@pytest.fixture(scope="module")
def store(network: Network) -> Iterator[StorjStore]:
    made = open_bucket(network, network.new_project())
    write(made, "large", CONTENT)
    yield made
    made.close()


def take(download: Download, length: int = len(CONTENT)) -> bytes:
    """Read ``length`` bytes, or all there are."""
    content = bytearray()
    buffer = memoryview(bytearray(PIECE))
    while length and (count := download.readinto(buffer[: min(PIECE, length)])):
        content += buffer[:count]
        length -= count
    return bytes(content)


def settled(network: Network) -> Requests:
    """What was asked of the satellite, once it has heard of all that was asked and given up."""
    asked = network.requests()
    while True:
        time.sleep(0.5)
        before, asked = asked, network.requests()
        if asked == before:
            return asked


@pytest.mark.parametrize(
    ("offset", "length"),
    [
        (0, None),
        (1, None),
        (SPAN - 1, 3 * SPAN),
        (SPAN, 3 * SPAN + 1),
        (SEGMENT - 1, 3 * SPAN),
        (5 * MIB, SEGMENT),
        (len(CONTENT) - 3 * SPAN, None),
        (7, 10**12),
        (7, 2**63 - 1),
    ],
)
def test_every_range_is_read_right(store: StorjStore, offset: int, length: int | None) -> None:
    end = None if length is None else offset + length
    with store.get("large", offset, length) as download:
        content = take(download)
        assert download.readinto(memoryview(bytearray(1))) == 0
    assert content == CONTENT[offset:end]


def test_many_at_once_read_on_when_no_turn_is_left(store: StorjStore) -> None:
    def read(number: int) -> bool:
        with store.get("large", number) as download:
            return take(download) == CONTENT[number:]

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(10)))


def test_a_download_that_is_left_gives_its_turns_back(network: Network, store: StorjStore) -> None:
    for _ in range(20):  # each held all that one may; together more than there are
        with store.get("large") as download:
            assert take(download, SPAN + PIECE) == CONTENT[: SPAN + PIECE]
    before = settled(network)
    with store.get("large") as download:
        assert take(download) == CONTENT
    spans = -(-len(CONTENT) // SPAN)
    assert (network.requests() - before).tokens == spans


def test_who_reads_the_beginning_asks_for_no_more(network: Network, store: StorjStore) -> None:
    before = settled(network)
    with store.get("large") as download:
        assert take(download, MIB) == CONTENT[:MIB]
    assert (network.requests() - before).tokens == 1


def test_an_object_that_is_removed_meanwhile_breaks_the_download(store: StorjStore) -> None:
    store.copy("large", "removed")
    with store.get("removed") as download:
        assert take(download, SPAN) == CONTENT[:SPAN]
        store.delete("removed")
        with pytest.raises(NotFound):
            take(download)


def test_an_object_that_is_replaced_meanwhile_is_never_mixed(store: StorjStore) -> None:
    store.copy("large", "replaced")
    with store.get("replaced") as download:
        content = take(download, SPAN)
        write(store, "replaced", CONTENT[::-1])
        try:
            content += take(download)
        except NotFound:
            return
    assert content == CONTENT


def test_a_node_less_breaks_no_span(network: Network, store: StorjStore) -> None:
    with store.get("large") as download:
        content = take(download, SPAN + PIECE)
        network.cut(NODES[2])
        content += take(download)
    network.restore()
    assert content == CONTENT
