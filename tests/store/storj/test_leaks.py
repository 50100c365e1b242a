"""Many transfers, however they end, leave nothing behind in the process."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from bridge.store.api import NotFound, StoreError, UploadBroken
from bridge.store.deadline import deadline
from bridge.store.storj import control
from bridge.store.storj.store import StorjStore
from tests.network.client import Network
from tests.network.values import Project
from tests.store.objects import put_part, read, write
from tests.store.storj.opening import open_bucket

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")

SMALL = b"s" * 20_000
LARGE = b"l" * (2 << 20)
"""Streamed: more than is sent in one call."""

MARGIN = 24 << 20
"""Bytes that resident memory may vary by: Go gives back what is free when it likes."""

IDLE = 8
"""Connections to nodes that a store may keep idle beyond those of its warm-up."""

SETTLING = 30.0
"""Seconds in which threads and descriptors of what has ended must be gone."""


@dataclass(frozen=True)
class _Held:
    """What the process holds, but for its memory."""

    threads: int
    descriptors: int
    handles: int

    @classmethod
    def now(cls) -> _Held:
        gc.collect()
        return cls(
            len(os.listdir("/proc/self/task")),  # noqa: PTH208 - counted, not read
            len(os.listdir("/proc/self/fd")),  # noqa: PTH208
            control.handles(),
        )

    def within(self, other: _Held, *, threads: int) -> bool:
        """No more than ``other``, but for what is kept for the next call: threads, connections."""
        return (
            self.threads <= other.threads + threads
            and self.descriptors <= other.descriptors + IDLE
            and self.handles <= other.handles
        )


def _resident() -> int:
    """Bytes of memory that the process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _uploads(store: StorjStore) -> None:
    write(store, "small", SMALL)
    write(store, "large", LARGE)


def _downloads(store: StorjStore) -> None:
    assert read(store, "large") == LARGE
    assert read(store, "small", 5, 100) == SMALL[:100]


def _aborts(store: StorjStore) -> None:
    for content in (SMALL, LARGE):
        upload = store.put("aborted")
        upload.write(content)
        upload.abort()
        with pytest.raises(UploadBroken):
            upload.commit({})
    with store.get("large") as download:
        download.readinto(memoryview(bytearray(10)))


def _dropped(store: StorjStore) -> None:
    for content in (SMALL, LARGE):
        upload = store.put("dropped")
        upload.write(content)
    download = store.get("large")
    download.readinto(memoryview(bytearray(10)))


def _failures(store: StorjStore) -> None:
    with pytest.raises(NotFound):
        store.get("nothing")
    with pytest.raises(NotFound):
        store.move("nothing", "nowhere")
    with pytest.raises(NotFound):
        store.put_part("large", "0" * 32, 1)


def _multiparts(store: StorjStore) -> None:
    upload_id = store.create_multipart("parts")
    put_part(store, "parts", upload_id, 1, LARGE)
    store.put_part("parts", upload_id, 2).abort()
    store.complete_multipart("parts", upload_id, {})
    upload_id = store.create_multipart("parts")
    put_part(store, "parts", upload_id, 1, SMALL)
    store.abort_multipart("parts", upload_id)


_KINDS: tuple[Callable[[StorjStore], None], ...] = (
    *(_uploads, _downloads, _aborts, _dropped, _failures, _multiparts),
)


@pytest.fixture
def store(network: Network, storj_project: Project) -> Iterator[StorjStore]:
    made = open_bucket(network, storj_project)
    yield made
    made.close()


def _rounds(store: StorjStore, count: int) -> None:
    for number in range(count):
        _KINDS[number % len(_KINDS)](store)


def _show(store: StorjStore, count: int, warm_up: int) -> None:
    _rounds(store, warm_up)
    gc.collect()
    before, memory = _Held.now(), _resident()
    _rounds(store, count)
    ends = time.monotonic() + SETTLING
    # A connection more or less is kept idle for each peer, and a thread for each call at once.
    while not (held := _Held.now()).within(before, threads=4) and time.monotonic() < ends:
        time.sleep(0.1)
    grown = _resident() - memory
    print(f"\n{before}\n{held}\nresident {memory >> 10} KiB, grown by {grown >> 10} KiB")
    assert held.within(before, threads=4), (before, held)
    assert grown < MARGIN


def test_transfers_of_all_kinds_leave_nothing_behind(store: StorjStore) -> None:
    _show(store, 42, warm_up=24)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_500_transfers_of_all_kinds_leave_nothing_behind(store: StorjStore) -> None:
    _show(store, 500, warm_up=60)


def test_a_closed_store_holds_nothing_of_what_ran_in_it(
    network: Network, storj_project: Project
) -> None:
    handles = control.handles()
    for _ in range(3):
        store = open_bucket(network, storj_project)
        _rounds(store, len(_KINDS))
        upload = store.put("running")
        upload.write(LARGE)
        download = store.get("large")
        store.close()
        with suppress(UploadBroken):
            upload.write(LARGE)
        upload.abort()
        download.close()
    gc.collect()
    assert control.handles() == handles


def test_a_commit_that_is_refused_before_it_is_made_leaves_nothing(store: StorjStore) -> None:
    before = control.handles()
    upload = store.put("late")
    upload.write(LARGE)
    with deadline(0.0), pytest.raises(StoreError):
        upload.commit({})
    upload.abort()
    assert control.handles() == before
