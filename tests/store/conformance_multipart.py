"""Conformance of a store: multipart uploads, deadlines and the end."""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from bridge.store.api import (
    METADATA_LIMIT,
    PART_LIMIT,
    PART_MINIMUM,
    Exists,
    NotFound,
    ObjectStore,
    StoreError,
    TooLarge,
    TooSmall,
    Unavailable,
)
from bridge.store.deadline import deadline
from tests.store.objects import exists, keys, put_part, race, read, write


class MultipartConformance:
    """Parts, completion, deadlines, probe, close."""

    # Multipart uploads

    def test_parts_written_in_any_order_become_one_object(self, store: ObjectStore) -> None:
        upload_id = store.create_multipart("m/k")
        contents = {
            n: random.Random(n).randbytes(PART_MINIMUM + n) for n in (7, 2, PART_LIMIT // 100)
        }
        contents[PART_LIMIT] = b"the last may be small"
        for number, content in contents.items():
            part = put_part(store, "m/k", upload_id, number, content, etag=f"etag {number}")
            assert (part.number, part.size, part.etag) == (number, len(content), f"etag {number}")
        assert not exists(store, "m/k")
        assert keys(store.list("", recursive=True)) == []
        parts = store.list_parts("m/k", upload_id)
        assert [part.number for part in parts] == sorted(contents)
        assert [part.size for part in parts] == [len(contents[n]) for n in sorted(contents)]
        assert [part.etag for part in parts] == [f"etag {n}" for n in sorted(contents)]
        info = store.complete_multipart("m/k", upload_id, {"k": "v"})
        assert store.stat("m/k") == info
        assert info.metadata == {"k": "v"}
        assert read(store, "m/k") == b"".join(contents[n] for n in sorted(contents))
        with pytest.raises(NotFound):
            store.list_parts("m/k", upload_id)
        with pytest.raises(NotFound):
            store.complete_multipart("m/k", upload_id, {})
        assert list(store.list_multiparts("")) == []

    def test_parts_are_written_at_once_and_the_last_of_a_number_counts(
        self, store: ObjectStore
    ) -> None:
        upload_id = store.create_multipart("k")
        put_part(store, "k", upload_id, 2, b"replaced", etag="old")
        contents = [b"%d" % n * (PART_MINIMUM if n < 3 else 1) for n in (1, 2, 3)]
        results = race(3, lambda n: put_part(store, "k", upload_id, n + 1, contents[n]))
        assert [part.number for part in results if not isinstance(part, StoreError)] == [1, 2, 3]
        assert [part.size for part in store.list_parts("k", upload_id)] == list(map(len, contents))
        assert store.complete_multipart("k", upload_id, {}).size == sum(map(len, contents))
        assert read(store, "k") == b"".join(contents)

    def test_a_part_too_small_to_be_in_the_middle_is_taken_whole_or_refused(
        self, store: ObjectStore
    ) -> None:
        upload_id = store.create_multipart("k")
        put_part(store, "k", upload_id, 1, b"small")
        put_part(store, "k", upload_id, 2, b"last")
        try:
            store.complete_multipart("k", upload_id, {})
        except TooSmall:
            assert [part.size for part in store.list_parts("k", upload_id)] == [5, 4]
            put_part(store, "k", upload_id, 1, b"1" * PART_MINIMUM)
            assert store.complete_multipart("k", upload_id, {}).size == PART_MINIMUM + 4
        else:
            assert read(store, "k") == b"smalllast"

    def test_a_part_not_committed_is_not_there(self, store: ObjectStore) -> None:
        upload_id = store.create_multipart("k")
        put_part(store, "k", upload_id, 1, b"kept")
        aborted = store.put_part("k", upload_id, 1)
        aborted.write(b"aborted")
        aborted.abort()
        aborted.abort()
        dropped = store.put_part("k", upload_id, 2)
        dropped.write(b"dropped")
        del dropped
        gc.collect()
        assert [part.number for part in store.list_parts("k", upload_id)] == [1]
        store.complete_multipart("k", upload_id, {})
        assert read(store, "k") == b"kept"

    def test_an_aborted_multipart_upload_is_gone(self, store: ObjectStore) -> None:
        old = write(store, "k", b"old")
        upload_id = store.create_multipart("k")
        put_part(store, "k", upload_id, 1, b"content")
        store.abort_multipart("k", upload_id)
        store.abort_multipart("k", upload_id)
        store.abort_multipart("k", "never was")
        with pytest.raises(NotFound):
            store.put_part("k", upload_id, 2)
        with pytest.raises(NotFound):
            store.list_parts("k", upload_id)
        assert list(store.list_multiparts("")) == []
        assert list(store.list("", recursive=True)) == [old]

    def test_a_part_of_an_upload_aborted_meanwhile_is_refused(self, store: ObjectStore) -> None:
        upload_id = store.create_multipart("k")
        part = store.put_part("k", upload_id, 1)
        part.write(b"content")
        store.abort_multipart("k", upload_id)
        with suppress(NotFound):  # it may be noticed later
            part.commit("etag")
        with pytest.raises(NotFound):
            store.complete_multipart("k", upload_id, {})
        assert keys(store.list("", recursive=True)) == []

    def test_multipart_uploads_in_progress_are_listed_by_prefix(self, store: ObjectStore) -> None:
        started = {
            (key, store.create_multipart(key)) for key in ("a/1", "a/1", "a/b/2", "b/3", "c")
        }
        assert len(started) == 5
        infos = store.list_multiparts("")
        assert {(info.key, info.upload_id) for info in infos} == started
        assert all(abs(info.started - time.time()) < 60 for info in infos)
        assert sorted(info.key for info in store.list_multiparts("a/")) == ["a/1", "a/1", "a/b/2"]
        assert list(store.list_multiparts("zz/")) == []

    def test_a_multipart_upload_belongs_to_its_key(self, store: ObjectStore) -> None:
        upload_id = store.create_multipart("k")
        for wrong in (("other", upload_id), ("k", "unknown"), ("k", "../" + upload_id), ("k", "")):
            with pytest.raises(NotFound):
                store.put_part(*wrong, 1)
            with pytest.raises(NotFound):
                store.list_parts(*wrong)
            with pytest.raises(NotFound):
                store.complete_multipart(*wrong, {})
            store.abort_multipart(*wrong)
        assert [info.upload_id for info in store.list_multiparts("")] == [upload_id]

    def test_part_numbers_outside_the_limits_are_refused(self, store: ObjectStore) -> None:
        upload_id = store.create_multipart("k")
        for number in (-1, 0, PART_LIMIT + 1):
            with pytest.raises(TooLarge):
                store.put_part("k", upload_id, number)
        assert list(store.list_parts("k", upload_id)) == []

    def test_a_completion_refused_leaves_the_upload_as_it_was(self, store: ObjectStore) -> None:
        old = write(store, "k", b"old")
        upload_id = store.create_multipart("k")
        put_part(store, "k", upload_id, 1, b"content")
        with pytest.raises(Exists):
            store.complete_multipart("k", upload_id, {}, if_absent=True)
        with pytest.raises(TooLarge):
            store.complete_multipart("k", upload_id, {"n": "v" * METADATA_LIMIT})
        assert store.stat("k") == old
        assert [part.size for part in store.list_parts("k", upload_id)] == [7]
        store.complete_multipart("k", upload_id, {})
        assert read(store, "k") == b"content"

    # Time, health, end

    def test_no_call_begins_after_the_deadline(self, store: ObjectStore) -> None:
        write(store, "k", b"content")
        with deadline(0):
            for call in calls(store):
                with pytest.raises(Unavailable):
                    call()
        assert read(store, "k") == b"content"

    def test_a_store_in_use_answers_its_probe(self, store: ObjectStore) -> None:
        store.probe()
        assert keys(store.list("", recursive=True)) == []

    def test_a_closed_store_answers_nothing(self, store: ObjectStore) -> None:
        write(store, "k", b"content")
        upload = store.put("k")
        upload.write(b"never committed")
        store.close()
        store.close()
        with pytest.raises(Unavailable):
            upload.commit({})
        for call in calls(store):
            with pytest.raises(Unavailable):
                call()
        upload.abort()


def calls(store: ObjectStore) -> list[Callable[[], object]]:
    """One call of every method that reaches the store."""
    return [
        lambda: store.put("k"),
        lambda: store.get("k"),
        lambda: store.stat("k"),
        lambda: list(store.list("")),
        lambda: store.delete("k"),
        lambda: store.delete_many(["k"]),
        lambda: store.copy("k", "other"),
        lambda: store.move("k", "other"),
        lambda: store.set_metadata("k", {}, "version"),
        lambda: store.create_multipart("k"),
        lambda: store.put_part("k", "id", 1),
        lambda: store.list_parts("k", "id"),
        lambda: store.complete_multipart("k", "id", {}),
        lambda: store.abort_multipart("k", "id"),
        lambda: store.list_multiparts(""),
        store.probe,
    ]
