"""What a project's limits, a narrow grant and a missing bucket are told as."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from bridge.store.api import (
    Forbidden,
    OutOfSpace,
    RateLimited,
    StoreError,
    Unavailable,
)
from bridge.store.storj.access import Access
from bridge.store.storj.facts import READ, Place
from bridge.store.storj.store import StorjOptions, StorjStore
from tests.network.client import Network
from tests.network.values import Project
from tests.store.objects import exists, keys, read, write
from tests.store.storj.opening import USER_AGENT

ON_NODES = b"n" * 70_000
"""Too long to be kept by the satellite itself."""

STREAMED = b"s" * (3 << 20)
"""Too long to be sent in one call."""

BUCKET = "limits"

Opener = Callable[[str, str], StorjStore]


@pytest.fixture
def opened() -> Iterator[Opener]:
    """Opens a bucket by a grant's text, until the test is over."""
    stores: list[StorjStore] = []

    def open_it(grant: str, bucket: str) -> StorjStore:
        stores.append(StorjStore(grant, bucket, StorjOptions(USER_AGENT, call_seconds=20.0)))
        return stores[-1]

    yield open_it
    for store in stores:
        store.close()


@pytest.fixture
def store(storj_project: Project, opened: Opener) -> StorjStore:
    Access.parse(storj_project.grant).ensure_bucket(BUCKET, USER_AGENT)
    return opened(storj_project.grant, BUCKET)


def _until_refused(call: Callable[[], object]) -> None:
    """More calls than the satellite takes in the time they last."""
    for _ in range(100):
        call()


def _there_and_back(store: StorjStore) -> None:
    store.move("copy", "moved")
    store.move("moved", "copy")


def test_too_many_requests_are_rate_limited_and_later_taken(
    network: Network, storj_project: Project, store: StorjStore
) -> None:
    write(store, "small", b"content")
    write(store, "large", ON_NODES)
    write(store, "copy", b"content")
    calls: list[Callable[[], object]] = [
        lambda: store.stat("small"),
        lambda: read(store, "large"),
        lambda: list(store.list("")),
        lambda: write(store, "small", b"content"),
        lambda: write(store, "large", ON_NODES),
        lambda: write(store, "streamed", STREAMED),
        lambda: store.copy("small", "copy"),
        lambda: _there_and_back(store),
        lambda: store.delete("nothing"),
        lambda: store.delete_many(["nothing", "nowhere"]),
        lambda: store.set_metadata("large", {"a": "b"}, store.stat("large").version),
        lambda: store.create_multipart("parts"),
    ]
    network.limit(storj_project, rate=1)
    for call in calls:
        with pytest.raises(RateLimited):
            _until_refused(call)
    network.limit(storj_project)
    assert exists(store, "copy") != exists(store, "moved")
    assert read(store, "small") == b"content"
    assert read(store, "large") == ON_NODES


@pytest.mark.parametrize("limit", ["storage", "segments"])
def test_a_full_project_is_out_of_space_and_what_is_there_can_be_read(
    network: Network, storj_project: Project, store: StorjStore, limit: str
) -> None:
    write(store, "there", ON_NODES)
    network.limit(storj_project, **{limit: 1})
    for content in (b"content", ON_NODES, STREAMED):
        with pytest.raises(OutOfSpace):
            write(store, "new", content)
        assert not exists(store, "new")
    assert read(store, "there") == ON_NODES
    store.probe()


def test_a_full_project_can_be_freed(
    network: Network, storj_project: Project, store: StorjStore
) -> None:
    write(store, "there", ON_NODES)
    network.limit(storj_project, storage=1)
    with pytest.raises(OutOfSpace):
        write(store, "new", STREAMED)
    store.delete("there")
    network.limit(storj_project)
    write(store, "new", STREAMED)
    assert read(store, "new") == STREAMED


def test_a_project_out_of_segments_can_be_moved_in_and_not_copied(
    network: Network, storj_project: Project, store: StorjStore
) -> None:
    write(store, "there", ON_NODES)
    network.limit(storj_project, segments=1)
    with pytest.raises(OutOfSpace):
        store.copy("there", "new")
    with pytest.raises(OutOfSpace):
        store.create_multipart("new")
    store.move("there", "moved")
    assert read(store, "moved") == ON_NODES


def test_a_project_out_of_bandwidth_is_rate_limited(
    network: Network, storj_project: Project, store: StorjStore
) -> None:
    write(store, "there", ON_NODES)
    network.limit(storj_project, bandwidth=1)
    with pytest.raises(RateLimited, match="bandwidth"):
        _until_refused(lambda: read(store, "there"))
    assert store.stat("there").size == len(ON_NODES)
    network.limit(storj_project)
    assert read(store, "there") == ON_NODES


def test_a_reader_changes_nothing(
    storj_project: Project, store: StorjStore, opened: Opener
) -> None:
    write(store, "there", ON_NODES, {"name": "value"})
    version = store.stat("there").version
    shared = Access.parse(storj_project.grant).share(READ, [Place(BUCKET)])
    reader = opened(shared.serialize(), BUCKET)
    calls: list[Callable[[], object]] = [
        lambda: write(reader, "new", b"content"),
        lambda: write(reader, "new", ON_NODES),
        lambda: write(reader, "new", STREAMED),
        lambda: write(reader, "there", STREAMED),
        lambda: reader.delete("there"),
        lambda: reader.delete_many(["there", "other"]),
        lambda: reader.move("there", "new"),
        lambda: reader.copy("there", "new"),
        lambda: reader.set_metadata("there", {}, version),
        lambda: reader.create_multipart("new"),
    ]
    for call in calls:
        with pytest.raises(Forbidden):
            call()
    assert keys(reader.list("")) == ["there"]
    assert read(reader, "there") == ON_NODES
    assert reader.stat("there").metadata == {"name": "value"}
    reader.probe()


def test_a_bucket_that_is_not_there_is_unavailable_and_never_empty(
    storj_project: Project, opened: Opener
) -> None:
    # To delete one object of it is no error: the satellite does not tell.
    missing = opened(storj_project.grant, "nowhere")
    calls: list[Callable[[], object]] = [
        lambda: missing.stat("a"),
        lambda: read(missing, "a"),
        lambda: list(missing.list("")),
        lambda: list(missing.list("folder/", recursive=True)),
        lambda: write(missing, "a", b"content"),
        lambda: write(missing, "a", ON_NODES),
        lambda: write(missing, "a", STREAMED),
        lambda: missing.copy("a", "b"),
        lambda: missing.move("a", "b"),
        lambda: missing.delete_many(["a", "b"]),
        lambda: missing.set_metadata("a", {}, "00"),
        lambda: missing.create_multipart("a"),
        lambda: missing.list_multiparts(""),
        missing.probe,
    ]
    told: list[str] = []
    for number, call in enumerate(calls):
        try:
            call()
        except Unavailable:
            continue
        except StoreError as error:
            told.append(f"{number}: {error!r}")
        else:
            told.append(f"{number}: no error")
    assert told == []
