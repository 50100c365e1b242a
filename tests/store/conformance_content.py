"""Conformance of a store: writing objects, and reading them."""

from __future__ import annotations

import contextlib
import gc
import random
import time
from functools import partial

import pytest

from bridge.store.api import (
    COMPONENT_LIMIT,
    Exists,
    InvalidKey,
    NotFound,
    ObjectInfo,
    ObjectStore,
    StoreError,
    Unavailable,
    UploadBroken,
)
from bridge.store.deadline import deadline
from tests.store.objects import keys, put_part, race, read, winners, write


class ContentConformance:
    """Atomic commit, abort, if_absent, ranges."""

    exclusive = True
    """Whether of conditional commits at the very same moment no more than one can win."""

    # Writing and reading

    def test_a_committed_object_reads_back_with_its_metadata(self, store: ObjectStore) -> None:
        before = time.time()
        info = write(store, "a/b", b"content", {"one": "1", "two": "\u00fc\n\U0001f600", "": ""})
        assert (info.key, info.size, info.is_prefix) == ("a/b", 7, False)
        assert info.metadata == {"one": "1", "two": "\u00fc\n\U0001f600", "": ""}
        assert before - 60 < info.modified < time.time() + 60
        assert info.version
        assert store.stat("a/b") == info
        with store.get("a/b") as download:
            assert download.info == info
        assert read(store, "a/b") == b"content"

    def test_an_empty_object_without_metadata_is_an_object(self, store: ObjectStore) -> None:
        assert write(store, "empty").size == 0
        assert read(store, "empty") == b""
        assert store.stat("empty").metadata == {}
        assert keys(store.list("")) == ["empty"]

    @pytest.mark.parametrize("size", [1, 4095, 4096, 4097, 8192, 65_536, 1_048_577, 5_000_000])
    def test_content_of_any_size_written_in_odd_pieces_reads_back(
        self, store: ObjectStore, size: int
    ) -> None:
        content = random.Random(size).randbytes(size)
        upload = store.put("k")
        view = memoryview(content)
        for piece in (1, 0, 4095, 70_001):
            upload.write(view[:piece])
            view = view[piece:]
        upload.write(bytearray(view))
        assert upload.commit({}).size == size
        assert read(store, "k") == content

    def test_a_written_buffer_may_be_reused_at_once(self, store: ObjectStore) -> None:
        upload = store.put("k")
        buffer = bytearray(b"first ")
        upload.write(buffer)
        buffer[:] = b"second"
        upload.write(buffer)
        buffer[:] = b"thirds"
        upload.commit({})
        assert read(store, "k") == b"first second"

    def test_nothing_is_visible_before_the_commit(self, store: ObjectStore) -> None:
        upload = store.put("new")
        upload.write(b"content")
        with pytest.raises(NotFound):
            store.stat("new")
        with pytest.raises(NotFound):
            store.get("new")
        assert keys(store.list("", recursive=True)) == []
        upload.commit({})
        assert keys(store.list("", recursive=True)) == ["new"]

    def test_the_old_object_stays_until_the_commit_replaces_it(self, store: ObjectStore) -> None:
        old = write(store, "k", b"old", {"which": "old"})
        upload = store.put("k")
        upload.write(b"new content")
        assert store.stat("k") == old
        assert read(store, "k") == b"old"
        new = upload.commit({"which": "new"})
        assert store.stat("k") == new
        assert new.version != old.version
        assert read(store, "k") == b"new content"
        assert keys(store.list("")) == ["k"]

    def test_the_same_content_committed_again_is_a_new_version(self, store: ObjectStore) -> None:
        first = write(store, "k", b"same")
        assert write(store, "k", b"same").version != first.version

    def test_an_aborted_upload_leaves_nothing(self, store: ObjectStore) -> None:
        old = write(store, "kept", b"old")
        for key in ("kept", "deep/er/new"):
            upload = store.put(key)
            upload.write(b"content")
            upload.abort()
            upload.abort()
            with pytest.raises(StoreError):
                upload.commit({})
            with pytest.raises(StoreError):
                upload.write(b"more")
        assert list(store.list("", recursive=True)) == [old]
        assert list(store.list("")) == [old]

    def test_an_upload_that_is_over_says_that_only_a_new_one_helps(
        self, store: ObjectStore
    ) -> None:
        for empty in (True, False):
            upload = store.put("k")
            if not empty:
                upload.write(b"content")
            upload.abort()
            with pytest.raises(UploadBroken):
                upload.write(b"more")
            with pytest.raises(UploadBroken):
                upload.commit({})
        upload_id = store.create_multipart("k")
        part = store.put_part("k", upload_id, 1)
        part.abort()
        with pytest.raises(UploadBroken):
            part.write(b"more")
        with pytest.raises(UploadBroken):
            part.commit("etag")
        assert keys(store.list("", recursive=True)) == []
        assert list(store.list_parts("k", upload_id)) == []

    def test_after_a_write_that_failed_nothing_is_committed(self, store: ObjectStore) -> None:
        upload = store.put("k")
        upload.write(b"content")
        try:
            with deadline(0):
                upload.write(b"more")
        except Unavailable:
            with pytest.raises(UploadBroken):
                upload.commit({})
            assert keys(store.list("")) == []
        else:  # a store may be quicker than any deadline
            assert upload.commit({}).size == len(b"contentmore")

    def test_an_upload_aborted_after_its_commit_stays_committed(self, store: ObjectStore) -> None:
        upload = store.put("k")
        upload.write(b"content")
        info = upload.commit({})
        upload.abort()
        assert store.stat("k") == info

    def test_a_dropped_upload_leaves_nothing(self, store: ObjectStore) -> None:
        upload = store.put("dropped")
        upload.write(b"content")
        del upload
        gc.collect()
        assert keys(store.list("", recursive=True)) == []

    def test_nothing_can_be_written_after_the_commit(self, store: ObjectStore) -> None:
        upload = store.put("k")
        upload.write(b"content")
        upload.commit({})
        with pytest.raises(StoreError):
            upload.write(b"more")
        assert read(store, "k") == b"content"

    def test_an_upload_to_a_key_it_cannot_have_is_refused(self, store: ObjectStore) -> None:
        for key in ("", "/", "/a", "a/", "a//b", ".", "a/../b", "a/.", "nul\0", "\ud800"):
            with pytest.raises(InvalidKey):
                store.put(key)
        for key in ("a" * (COMPONENT_LIMIT + 1), "a/" * 849 + "aaa", "\u00fc" * 701):
            with pytest.raises(InvalidKey):
                store.put(key)
            with pytest.raises(InvalidKey):
                store.create_multipart(key)
        write(store, "source")
        for change in (store.copy, store.move):
            with pytest.raises(InvalidKey):
                change("source", "a//b")
        assert keys(store.list("", recursive=True)) == ["source"]

    def test_under_a_key_no_object_can_have_nothing_is_found(self, store: ObjectStore) -> None:
        for key in ("", "/", "/a", "a/", "a//b", "..", "a/../b", "nul\0", "\ud800", "a/" * 900):
            with pytest.raises((NotFound, InvalidKey)):
                store.stat(key)
            with pytest.raises((NotFound, InvalidKey)):
                store.get(key)
            with contextlib.suppress(InvalidKey):
                store.delete(key)
        assert keys(store.list("", recursive=True)) == []

    # if_absent

    def test_a_commit_if_absent_is_refused_where_an_object_is(self, store: ObjectStore) -> None:
        first = write(store, "k", b"first", if_absent=True)
        with pytest.raises(Exists):
            write(store, "k", b"second", if_absent=True)
        assert store.stat("k") == first
        assert read(store, "k") == b"first"
        store.delete("k")
        write(store, "k", b"third", if_absent=True)
        assert read(store, "k") == b"third"

    def test_of_commits_if_absent_at_once_exactly_one_wins(self, store: ObjectStore) -> None:
        for number in range(10):
            key = f"race/{number}"
            contents = [b"%d" % n for n in range(8)]
            results = race(8, partial(_commit_one, store, key, contents))
            won = winners(results, exclusive=self.exclusive)
            assert store.stat(key) in won

    def test_of_copies_if_absent_at_once_exactly_one_wins(self, store: ObjectStore) -> None:
        for number in range(4):
            write(store, f"source/{number}", b"%d" % number, {"n": str(number)})
        results = race(4, lambda n: store.copy(f"source/{n}", "copies/one", if_absent=True))
        won = winners(results, exclusive=self.exclusive)
        there = store.stat("copies/one")
        assert there in won
        assert read(store, "copies/one").decode() == (there.metadata or {})["n"]

    def test_of_completions_if_absent_at_once_exactly_one_wins(self, store: ObjectStore) -> None:
        ids = []
        for number in range(4):
            ids.append(store.create_multipart("k"))
            put_part(store, "k", ids[-1], 1, b"%d" % number)
        results = race(
            4, lambda n: store.complete_multipart("k", ids[n], {"n": str(n)}, if_absent=True)
        )
        won = winners(results, exclusive=self.exclusive)
        there = store.stat("k")
        assert there in won
        assert read(store, "k").decode() == (there.metadata or {})["n"]
        left = {upload.upload_id for upload in store.list_multiparts("")}
        assert left == set(ids) - {ids[int((info.metadata or {})["n"])] for info in won}

    # Reading ranges

    @pytest.mark.parametrize("size", [0, 1, 4096, 10_000])
    def test_a_range_at_every_boundary_reads_what_a_slice_does(
        self, store: ObjectStore, size: int
    ) -> None:
        content = random.Random(size).randbytes(size)
        write(store, "k", content)
        edges = sorted({0, 1, 2, 4095, 4096, 4097, size - 1, size, size + 1, 2 * size + 9} - {-1})
        for offset in edges:
            assert read(store, "k", offset) == content[offset:]
            for length in edges:
                assert read(store, "k", offset, length) == content[offset : offset + length]

    def test_reading_into_small_and_empty_buffers_loses_nothing(self, store: ObjectStore) -> None:
        write(store, "k", b"0123456789")
        with store.get("k", 2, 7) as download:
            seen = b""
            buffer = bytearray(3)
            while count := download.readinto(memoryview(buffer)):
                seen += buffer[:count]
            assert seen == b"2345678"
            assert download.readinto(memoryview(buffer)) == 0

    def test_a_download_reads_one_version_though_it_is_replaced(self, store: ObjectStore) -> None:
        content = random.Random(1).randbytes(300_000)
        old = write(store, "k", content, {"which": "old"})
        with store.get("k") as download:
            buffer = bytearray(400_000)
            view = memoryview(buffer)
            filled = download.readinto(view[:1000])
            write(store, "k", b"x" * 300_000, {"which": "new"})
            store.delete("k")
            while count := download.readinto(view[filled:]):
                filled += count
            assert download.info == old
        assert bytes(buffer[:filled]) == content

    def test_a_download_may_be_closed_twice(self, store: ObjectStore) -> None:
        write(store, "k", b"content")
        download = store.get("k")
        download.close()
        download.close()
        assert read(store, "k") == b"content"

    def test_what_is_not_there_is_not_found(self, store: ObjectStore) -> None:
        write(store, "a/b")
        for key in ("b", "a", "a/b/c", "a/c", "x" * COMPONENT_LIMIT):
            with pytest.raises(NotFound) as caught:
                store.stat(key)
            assert caught.value.key == key
            with pytest.raises(NotFound):
                store.get(key)
            with pytest.raises(NotFound):
                store.copy(key, "target")
            with pytest.raises(NotFound):
                store.move(key, "target")
            with pytest.raises(NotFound):
                store.set_metadata(key, {}, "version")
        assert keys(store.list("", recursive=True)) == ["a/b"]


def _commit_one(store: ObjectStore, key: str, contents: list[bytes], number: int) -> ObjectInfo:
    return write(store, key, contents[number], if_absent=True)
