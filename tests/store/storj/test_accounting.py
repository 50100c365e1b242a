"""What the satellite counts for objects of every kind of size, and what the bridge says it does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bridge.store.storj.access import Access
from bridge.store.storj.accounting import Account, segments, stored_bytes
from bridge.store.storj.store import SEGMENT, StorjOptions, StorjStore
from tests.network.client import Network
from tests.network.values import Project
from tests.store.objects import write
from tests.store.storj.opening import USER_AGENT

BUCKET = "accounts"

SIZES = (
    *(0, 1, 3_000, 4_080, 4_081, 4_096, 4_097),
    *(7_404, 7_405, 7_408, 64 << 10, 1 << 20, (1 << 20) + 1, 3 << 20),
)
"""Around every bound: of segments kept by the satellite, of blocks, of what is sent at once."""

LARGE = (SEGMENT - 1, SEGMENT, SEGMENT + 1, 70 << 20)


@pytest.fixture
def store(storj_project: Project) -> Iterator[StorjStore]:
    Access.parse(storj_project.grant).ensure_bucket(BUCKET, USER_AGENT)
    opened = StorjStore(storj_project.grant, BUCKET, StorjOptions(USER_AGENT))
    yield opened
    opened.close()


def _agrees(network: Network, project: Project, store: StorjStore) -> Account:
    """The account of all that is listed is the satellite's."""
    account = Account.of(store.list("", recursive=True))
    counted = network.bucket(project, BUCKET)
    told = (account.objects, account.segments, account.stored_bytes)
    assert told == (counted.objects - counted.pending, counted.segments, counted.bytes)
    return account


@pytest.mark.parametrize("size", SIZES)
def test_an_object_has_the_segments_and_bytes_that_the_satellite_counts(
    network: Network, storj_project: Project, store: StorjStore, size: int
) -> None:
    write(store, "folder/key", b"x" * size, {"name": "value"})
    assert _agrees(network, storj_project, store).bytes == size


@pytest.mark.long
@pytest.mark.parametrize("size", LARGE)
def test_a_large_object_has_the_segments_and_bytes_that_the_satellite_counts(
    network: Network, storj_project: Project, store: StorjStore, size: int
) -> None:
    write(store, "folder/key", b"x" * size)
    assert _agrees(network, storj_project, store).bytes == size


def test_a_bucket_is_counted_as_the_satellite_does_whatever_was_done_in_it(
    network: Network, storj_project: Project, store: StorjStore
) -> None:
    for number, size in enumerate((0, 3 << 10, 64 << 10, 70 << 20)):
        write(store, f"kept/{number}", b"x" * size)
        write(store, f"gone/{number}", b"x" * (1 + size % 100_000))
    write(store, "kept/1", b"y" * 5_000)
    write(store, "kept/1", b"z" * 100)
    store.copy("kept/3", "copies/large")
    store.copy("kept/2", "copies/small")
    store.move("copies/small", "copies/moved")
    store.set_metadata("kept/2", {"other": "value"}, store.stat("kept/2").version)
    store.delete_many([f"gone/{number}" for number in range(4)])
    store.create_multipart("begun")
    account = _agrees(network, storj_project, store)
    assert account.objects == 6
    assert account.bytes == 100 + 2 * (64 << 10) + 2 * (70 << 20)
    assert network.bucket(storj_project, BUCKET).pending == len(store.list_multiparts("")) == 1


def test_what_a_size_costs() -> None:
    assert [segments(size) for size in (0, 1, SEGMENT, SEGMENT + 1, 10 * SEGMENT)] == [
        *(1, 1, 1, 2, 10),
    ]
    assert stored_bytes(0) == 0
    assert stored_bytes(3_000) == 3_016
    assert stored_bytes(70 << 20) == 73_564_416
    assert stored_bytes(SEGMENT + 1) == stored_bytes(SEGMENT) + 17
