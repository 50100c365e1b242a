"""Objects are read while they are moved.

A move seals the keys of an object's segments anew, for its new key. Who reads meets the
one or the other, or nothing, and never takes for damaged what was moved.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from functools import partial

import pytest

from bridge.store.api import Changed, NotFound
from bridge.store.storj.store import SEGMENT, StorjStore
from tests.network.client import Network
from tests.network.values import Project
from tests.store.objects import read, write
from tests.store.storj.opening import open_bucket

MIB = b"m" * (1 << 20)


@pytest.fixture
def store(network: Network, storj_project: Project) -> Iterator[StorjStore]:
    opened = open_bucket(network, storj_project)
    yield opened
    opened.close()


@pytest.mark.parametrize("size", [100, 70_000], ids=["inline", "on nodes"])
@pytest.mark.parametrize(
    "rounds", [100, pytest.param(1_000, marks=[pytest.mark.long, pytest.mark.timeout(900)])]
)
def test_what_is_moved_to_and_fro_is_read_whole_or_not_found(
    store: StorjStore, size: int, rounds: int
) -> None:
    content = bytes(size)
    write(store, "d/a", content, {"r": "x"})
    told = Counter[str]()
    done = threading.Event()

    def look(key: str) -> None:
        while not done.is_set():
            try:
                assert read(store, key) == content
                assert read(store, key, 10, 20) == content[10:30]
                told["read"] += 1
            except (NotFound, Changed) as error:
                told[type(error).__name__] += 1
            except Exception as error:  # noqa: BLE001 - counted, and shown below
                told[repr(error)] += 1

    readers = [threading.Thread(target=look, args=(key,)) for key in ("d/a", "d/b")]
    for reader in readers:
        reader.start()
    for _ in range(rounds):
        store.move("d/a", "d/b")
        store.move("d/b", "d/a")
    done.set()
    for reader in readers:
        reader.join()
    assert set(told) <= {"read", "NotFound", "Changed"}, told
    assert told["read"]


def test_a_long_download_ends_where_what_it_reads_is_moved(store: StorjStore) -> None:
    """What it has asked for by then it still gets: the rest is under another key."""
    upload = store.put("long")
    for _ in range(4 * SEGMENT // len(MIB)):
        upload.write(MIB)
    upload.commit({})
    buffer = memoryview(bytearray(len(MIB)))
    with store.get("long") as download:
        assert download.readinto(buffer)
        store.move("long", "moved")
        with pytest.raises(Changed):
            list(iter(partial(download.readinto, buffer), 0))
