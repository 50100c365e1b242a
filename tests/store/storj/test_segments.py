"""Segments of large uploads, some of which are sent at the same time."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from bridge.store.storj.binding import limit_memory
from bridge.store.storj.store import SEGMENT, StorjStore
from tests.network.client import Network
from tests.network.values import Project
from tests.store.objects import read, write
from tests.store.storj.opening import open_bucket

CONTENT = random.Random(3).randbytes(2 * SEGMENT + 4_321)

WIDE = 4 << 30
"""Bytes of memory that no test here comes near."""

SPARE = 4


@pytest.fixture
def store(network: Network, storj_project: Project) -> Iterator[StorjStore]:
    made = open_bucket(network, storj_project)
    yield made
    made.close()
    limit_memory(WIDE, SPARE)


@pytest.mark.parametrize("spare", [0, 1, 8])
def test_an_upload_of_many_segments_needs_no_spare_ones(store: StorjStore, spare: int) -> None:
    limit_memory(WIDE, spare)
    write(store, "large", CONTENT)
    assert read(store, "large") == CONTENT


def test_aborted_and_simultaneous_uploads_share_one_spare_segment(store: StorjStore) -> None:
    limit_memory(WIDE, 1)
    for _ in range(3):
        upload = store.put("aborted")
        upload.write(CONTENT[:SEGMENT])
        upload.abort()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda number: write(store, str(number), CONTENT[number:]), range(3)))
    for number in range(3):
        assert read(store, str(number)) == CONTENT[number:]
