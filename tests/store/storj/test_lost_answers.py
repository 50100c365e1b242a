"""What becomes of a change that the satellite makes, and whose answer is lost on the way.

The contract (``bridge/store/api.py``): such a change raises Unavailable, or is found out by
looking. Never does it look done where it is not, nor its upload lost where it is published.

uplink asks again by itself where a connection breaks, but for the commit of what is sent in one
call. So Exists of a copy, and NotFound of a move, may be the answer to the second of two questions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from bridge.store.api import Exists, NotFound, ObjectInfo, ObjectStore, Unavailable, UploadBroken
from bridge.store.retrying import RetryingStore
from bridge.store.storj.store import StorjStore
from tests.network.client import Network
from tests.network.values import Project
from tests.store.objects import exists, read, write
from tests.store.storj.opening import open_bucket

SMALL = b"kept by the satellite"
ON_NODES = b"n" * 70_000
STREAMED = b"s" * (3 << 20)
METADATA = {"name": "value"}

LEFT = pytest.mark.xfail(
    strict=True, reason="a small upload that is refused stays at the satellite for a day"
)
CONTENTS_REFUSED = pytest.mark.parametrize(
    "content",
    [
        pytest.param(SMALL, id="small", marks=LEFT),
        pytest.param(ON_NODES, id="on nodes"),
        pytest.param(STREAMED, id="streamed"),
    ],
)
CONTENTS = pytest.mark.parametrize(
    "content",
    [
        pytest.param(SMALL, id="small"),
        pytest.param(ON_NODES, id="on nodes"),
        pytest.param(STREAMED, id="streamed"),
    ],
)


@pytest.fixture
def store(network: Network, storj_project: Project) -> Iterator[StorjStore]:
    made = open_bucket(network, storj_project, call_seconds=20.0)
    yield made
    network.restore()
    made.close()


@pytest.fixture
def retrying(store: StorjStore) -> RetryingStore:
    return RetryingStore(store, limit=20.0, longest=0.5)


@contextmanager
def _lost(network: Network, method: str, *, silent: bool = False) -> Iterator[None]:
    """The satellite does ``method`` once, and its answer does not arrive."""
    before = network.proxies()["satellite"].lost
    network.lose(method, silent=silent)
    try:
        yield
    finally:
        lost = network.proxies()["satellite"].lost - before
        network.restore("satellite")
    assert lost == 1


def _put(store: ObjectStore, content: bytes, *, if_absent: bool) -> ObjectInfo:
    upload = store.put("key")
    upload.write(content)
    try:
        return upload.commit(METADATA, if_absent=if_absent)
    finally:
        upload.abort()


def _is_published(store: ObjectStore, content: bytes, told: ObjectInfo | None) -> None:
    """What was put is there, as it was told if it was, and no upload is left."""
    found = store.stat("key")
    assert told is None or told == found
    assert found.metadata == METADATA
    assert read(store, "key") == content
    assert store.list_multiparts("") == []


@CONTENTS
@pytest.mark.parametrize("if_absent", [False, True])
def test_a_commit_is_unclear_or_found_out(
    network: Network, store: StorjStore, content: bytes, if_absent: bool
) -> None:
    if not if_absent:
        write(store, "key", b"old")
    told: ObjectInfo | None = None
    with _lost(network, "CommitObject"):
        try:
            told = _put(store, content, if_absent=if_absent)
        except Unavailable as error:
            assert not isinstance(error, UploadBroken)  # noqa: PT017 - nothing is as well
    _is_published(store, content, told)


@CONTENTS
def test_a_commit_done_again_replaces(
    network: Network, store: StorjStore, retrying: RetryingStore, content: bytes
) -> None:
    write(store, "key", b"old")
    with _lost(network, "CommitObject"):
        told = _put(retrying, content, if_absent=False)
    assert told == store.stat("key")
    assert read(store, "key") == content
    assert store.list_multiparts("") == []


@CONTENTS_REFUSED
def test_a_commit_done_again_where_nothing_was_may_meet_its_own_object(
    network: Network, store: StorjStore, retrying: RetryingStore, content: bytes
) -> None:
    told: ObjectInfo | None = None
    with _lost(network, "CommitObject"):
        try:
            told = _put(retrying, content, if_absent=True)
        except Exists:
            assert content != STREAMED  # one upload, which knows its own object
    _is_published(store, content, told)


@CONTENTS_REFUSED
def test_a_commit_that_is_refused_leaves_no_upload(store: StorjStore, content: bytes) -> None:
    write(store, "key", b"old")
    with pytest.raises(Exists):
        _put(store, content, if_absent=True)
    assert read(store, "key") == b"old"
    assert store.list_multiparts("") == []


@pytest.mark.parametrize("if_absent", [False, True])
def test_a_completed_upload_of_parts_is_found_out(
    network: Network, store: StorjStore, if_absent: bool
) -> None:
    upload_id = store.create_multipart("key")
    part = store.put_part("key", upload_id, 1)
    part.write(ON_NODES)
    part.commit("etag")
    with _lost(network, "CommitObject"):
        told = store.complete_multipart("key", upload_id, METADATA, if_absent=if_absent)
    assert told == store.stat("key")
    assert read(store, "key") == ON_NODES
    with pytest.raises(NotFound):
        store.complete_multipart("key", upload_id, METADATA)


def test_a_move_is_done_though_its_source_is_said_to_be_missing(
    network: Network, store: StorjStore
) -> None:
    write(store, "key", ON_NODES, METADATA)
    with _lost(network, "FinishMoveObject"), pytest.raises(NotFound):
        store.move("key", "moved")
    assert not exists(store, "key")
    assert store.stat("moved").metadata == METADATA
    assert read(store, "moved") == ON_NODES


def test_a_move_that_has_only_begun_is_begun_again(network: Network, store: StorjStore) -> None:
    write(store, "key", ON_NODES)
    with _lost(network, "BeginMoveObject"):
        store.move("key", "moved")
    assert not exists(store, "key")
    assert read(store, "moved") == ON_NODES


def test_a_copy_is_done_again_and_where_nothing_may_be_meets_its_own(
    network: Network, store: StorjStore
) -> None:
    write(store, "key", ON_NODES, METADATA)
    with _lost(network, "FinishCopyObject"):
        assert store.copy("key", "copy") == store.stat("copy")
    with _lost(network, "FinishCopyObject"), pytest.raises(Exists):
        store.copy("key", "first", if_absent=True)
    for copy in ("copy", "first"):
        assert store.stat(copy).metadata == METADATA
        assert read(store, copy) == ON_NODES


def test_metadata_are_set(network: Network, store: StorjStore) -> None:
    write(store, "key", ON_NODES, {"old": "metadata"})
    version = store.stat("key").version
    with _lost(network, "UpdateObjectMetadata"):
        store.set_metadata("key", METADATA, version)
    assert store.stat("key").metadata == METADATA
    assert store.stat("key").version == version


def test_what_is_deleted_is_gone(network: Network, store: StorjStore) -> None:
    for key in ("a", "b", "c"):
        write(store, key, SMALL)
    with _lost(network, "BeginDeleteObject"):
        store.delete("a")
    with _lost(network, "DeleteObjects"):
        store.delete_many(["b", "c"])
    assert list(store.list("")) == []


def test_an_aborted_upload_of_parts_is_gone(network: Network, store: StorjStore) -> None:
    upload_id = store.create_multipart("key")
    with _lost(network, "BeginDeleteObject"):
        store.abort_multipart("key", upload_id)
    assert store.list_multiparts("") == []


@pytest.fixture
def hasty(network: Network, storj_project: Project) -> Iterator[StorjStore]:
    """A store that waits for no answer for long."""
    made = open_bucket(network, storj_project, call_seconds=5.0)
    yield made
    network.restore()
    made.close()


def _unanswered(network: Network, store: StorjStore, content: bytes, *, if_absent: bool) -> None:
    """The commit is unclear, the store works on, and the same commit can be called again."""
    upload = store.put("key")
    upload.write(content)
    with _lost(network, "CommitObject", silent=True), pytest.raises(Unavailable) as raised:
        upload.commit(METADATA, if_absent=if_absent)
    assert not isinstance(raised.value, UploadBroken)
    assert read(store, "key") == content
    try:
        told = upload.commit(METADATA, if_absent=if_absent)
    except Exists:
        assert if_absent
    else:
        assert told == store.stat("key")
    upload.abort()
    assert store.stat("key").metadata == METADATA
    assert read(store, "key") == content


def test_a_commit_without_an_answer_is_unclear_and_can_be_called_again(
    network: Network, hasty: StorjStore
) -> None:
    _unanswered(network, hasty, STREAMED, if_absent=True)


@pytest.mark.long
@CONTENTS
@pytest.mark.parametrize("if_absent", [False, True])
def test_any_commit_without_an_answer_is_unclear_and_can_be_called_again(
    network: Network, hasty: StorjStore, content: bytes, if_absent: bool
) -> None:
    _unanswered(network, hasty, content, if_absent=if_absent)


@pytest.mark.long
def test_a_change_without_an_answer_is_unclear(network: Network, hasty: StorjStore) -> None:
    for key in ("moved", "copied", "changed", "deleted", "one", "two"):
        write(hasty, key, ON_NODES)
    version = hasty.stat("changed").version
    changes: list[tuple[str, Callable[[], object]]] = [
        ("FinishMoveObject", lambda: hasty.move("moved", "move")),
        ("FinishCopyObject", lambda: hasty.copy("copied", "copy")),
        ("UpdateObjectMetadata", lambda: hasty.set_metadata("changed", METADATA, version)),
        ("BeginDeleteObject", lambda: hasty.delete("deleted")),
        ("DeleteObjects", lambda: hasty.delete_many(["one", "two"])),
    ]
    for method, change in changes:
        with _lost(network, method, silent=True), pytest.raises(Unavailable):
            change()
    assert {info.key for info in hasty.list("")} == {"move", "copied", "copy", "changed"}
    assert hasty.stat("changed").metadata == METADATA
