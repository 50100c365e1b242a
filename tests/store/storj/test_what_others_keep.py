"""What other programs keep in the same bucket: under names that are no text, or other keys.

None of it may break a listing, nor hide what is ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from bridge.store.api import ObjectStore
from bridge.store.storj.binding import Bucket
from bridge.store.storj.store import StorjStore
from tests.network.client import Network
from tests.network.values import Project
from tests.store.objects import keys, read, write
from tests.store.storj.opening import USER_AGENT, new_bucket, open_store

OURS = {"a", "folder/b", "z"}
METADATA = {"name": "value"}
CONTENT = b"content"


class Bytes(str):
    """A text of the characters up to U+00FF that is sent as these bytes, which may be no UTF-8."""

    __slots__ = ()

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return super().encode("latin-1", errors)


NO_TEXT = [Bytes(n) for n in ("\xff", "caf\xe9", "folder/\xc3", "\xed\xa0\x80/x", "folder/\xf8/c")]


@pytest.fixture
def bucket(network: Network, storj_project: Project) -> str:
    return new_bucket(network, storj_project)


@pytest.fixture
def store(storj_project: Project, bucket: str) -> Iterator[StorjStore]:
    made = open_store(storj_project, bucket)
    for key in OURS:
        write(made, key, CONTENT, METADATA)
    yield made
    made.close()


@pytest.fixture
def other(storj_project: Project, bucket: str) -> Iterator[Bucket]:
    """Another program, which takes any bytes for names."""
    made = Bucket(
        storj_project.grant, bucket, user_agent=USER_AGENT, segments_at_once=1, seconds=20.0
    )
    yield made
    made.close()


def _put_no_text(other: Bucket) -> None:
    for name in NO_TEXT:
        with pytest.raises(UnicodeDecodeError):  # done, and the answer repeats the name
            other.put(name, CONTENT, METADATA, if_absent=False)


def _ours_is_there(store: ObjectStore) -> None:
    assert set(keys(store.list("", recursive=True))) == OURS
    assert set(keys(store.list(""))) == {"a", "folder/", "z"}
    assert keys(store.list("folder/")) == ["folder/b"]
    for key in OURS:
        assert store.stat(key).metadata == METADATA
        assert read(store, key) == CONTENT


def test_names_that_are_no_text(store: StorjStore, other: Bucket) -> None:
    _put_no_text(other)
    _ours_is_there(store)


def test_names_that_are_no_text_between_pages(store: StorjStore, other: Bucket) -> None:
    """A page of nothing but such names is no end of the listing."""
    _put_no_text(other)
    found: list[str] = []
    pages = 0
    cursor = b""
    while pages == 0 or cursor:
        entries, cursor = other.page("", cursor, recursive=True, limit=1)
        found += keys(entries)
        pages += 1
    assert set(found) == OURS
    assert len(found) == len(OURS)
    assert pages >= len(OURS) + len(NO_TEXT)


def test_uploads_under_names_that_are_no_text(store: StorjStore, other: Bucket) -> None:
    for name in NO_TEXT:
        other.create_multipart(name)
    upload_id = store.create_multipart("folder/c")
    for prefix in ("", "folder/"):
        (upload,) = store.list_multiparts(prefix)
        assert (upload.key, upload.upload_id) == ("folder/c", upload_id)
    _ours_is_there(store)


def test_what_stands_under_other_keys(
    network: Network, storj_project: Project, bucket: str, store: StorjStore
) -> None:
    others = replace(storj_project, grant="", passphrase="another one")
    for key in ("a", "folder/b", "theirs"):
        network.upload(others, bucket, key, 5_000).result(60)
    _ours_is_there(store)
