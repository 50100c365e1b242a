"""Conformance of a store: changing what is there, also by many at once."""

from __future__ import annotations

import contextlib
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from bridge.store.api import (
    METADATA_LIMIT,
    Changed,
    Exists,
    InvalidKey,
    NotFound,
    ObjectStore,
    TooLarge,
)
from tests.store.objects import exists, keys, race, read, write


class ChangeConformance:
    """Copy, move, metadata, concurrent writers."""

    # Copy and move

    def test_a_copy_has_content_and_metadata_and_a_version_of_its_own(
        self, store: ObjectStore
    ) -> None:
        content = random.Random(2).randbytes(200_001)
        source = write(store, "a", content, {"k": "v"})
        copied = store.copy("a", "b/c")
        assert store.stat("b/c") == copied
        assert (copied.key, copied.size, copied.metadata) == ("b/c", len(content), {"k": "v"})
        assert copied.version != source.version
        assert store.stat("a") == source
        assert read(store, "b/c") == content
        store.set_metadata("b/c", {"k": "w"}, copied.version)
        store.delete("a")
        assert read(store, "b/c") == content

    def test_a_copy_replaces_its_target_unless_it_must_be_absent(self, store: ObjectStore) -> None:
        write(store, "a", b"a")
        target = write(store, "b", b"b")
        with pytest.raises(Exists):
            store.copy("a", "b", if_absent=True)
        assert store.stat("b") == target
        store.copy("a", "b")
        assert read(store, "b") == b"a"

    def test_an_object_is_not_copied_onto_itself(self, store: ObjectStore) -> None:
        info = write(store, "a", b"a")
        with pytest.raises(InvalidKey):
            store.copy("a", "a")
        assert store.stat("a") == info

    def test_a_moved_object_is_the_same_under_another_key(self, store: ObjectStore) -> None:
        source = write(store, "a/b", b"content", {"k": "v"})
        write(store, "c/d", b"replaced")
        store.move("a/b", "c/d")
        moved = store.stat("c/d")
        assert (moved.size, moved.metadata) == (source.size, source.metadata)
        assert read(store, "c/d") == b"content"
        assert keys(store.list("", recursive=True)) == ["c/d"]
        with pytest.raises(NotFound):
            store.move("a/b", "c/d")
        assert read(store, "c/d") == b"content"

    def test_an_object_moved_onto_itself_stays(self, store: ObjectStore) -> None:
        info = write(store, "a", b"content")
        store.move("a", "a")
        assert store.stat("a") == info

    def test_a_moving_object_is_never_seen_at_both_keys_nor_at_none(
        self, store: ObjectStore
    ) -> None:
        # It only ever goes on to the next key, so at two looks in the order of the keys' age,
        # oldest first, seeing neither would mean that for a moment it was nowhere, and at two
        # looks in the other order, seeing both would mean that for a moment it was twice there.
        rounds = 40
        trail = [f"{'xyz'[number % 3]}/{number}" for number in range(rounds + 1)]
        write(store, trail[0], b"content")
        at = 0

        def carry() -> None:
            nonlocal at
            for number in range(rounds):
                store.move(trail[number], trail[number + 1])
                at = number + 1

        with ThreadPoolExecutor(1) as pool:
            carrying = pool.submit(carry)
            while not carrying.done():
                here = at
                older, newer = trail[here], trail[min(here + 1, rounds)]
                first, second = exists(store, older), exists(store, newer)
                if not first and not second:
                    assert at > here  # it has gone on beyond the newer key
                second, first = exists(store, newer), exists(store, older)
                assert not (second and first and older != newer)
            carrying.result()
        assert keys(store.list("", recursive=True)) == [trail[-1]]

    # Metadata

    def test_metadata_is_replaced_as_a_whole_and_the_version_stays(
        self, store: ObjectStore
    ) -> None:
        info = write(store, "k", b"content", {"a": "1", "b": "2"})
        for number in range(5):
            store.set_metadata("k", {"c": str(number)}, info.version)
            now = store.stat("k")
            assert now.metadata == {"c": str(number)}
            assert (now.version, now.size, now.modified) == (info.version, 7, info.modified)
            assert list(store.list("")) == [now]
        assert read(store, "k") == b"content"

    def test_metadata_is_not_set_on_a_version_that_is_gone(self, store: ObjectStore) -> None:
        old = write(store, "k", b"old", {"which": "old"})
        new = write(store, "k", b"new", {"which": "new"})
        for version in (old.version, "", "another"):
            with pytest.raises(Changed):
                store.set_metadata("k", {"which": "stale"}, version)
        assert store.stat("k") == new
        store.delete("k")
        with pytest.raises(NotFound):
            store.set_metadata("k", {}, new.version)

    def test_metadata_up_to_the_limit_is_kept_and_more_is_refused(self, store: ObjectStore) -> None:
        full = {"name": "v" * (METADATA_LIMIT - 4)}
        umlauts = {"n": "\u00fc" * ((METADATA_LIMIT - 2) // 2), "x": ""}
        many = {f"{number:02}": "12345678" for number in range(100)}
        for metadata in (full, umlauts, many):
            info = write(store, "k", b"content", metadata)
            assert store.stat("k").metadata == metadata
            store.set_metadata("k", {}, info.version)
            store.set_metadata("k", metadata, info.version)
            assert store.stat("k").metadata == metadata
        kept = store.stat("k")
        for metadata in ({"name": full["name"] + "v"}, {"n": "\u00fc" * (METADATA_LIMIT // 2)}):
            with pytest.raises(TooLarge):
                write(store, "k", b"new", metadata)
            with pytest.raises(TooLarge):
                store.set_metadata("k", metadata, kept.version)
        assert store.stat("k") == kept

    def test_metadata_handed_in_may_be_changed_afterwards(self, store: ObjectStore) -> None:
        metadata = {"a": "1"}
        info = write(store, "k", b"", metadata)
        metadata["a"] = "2"
        assert store.stat("k").metadata == {"a": "1"}
        store.set_metadata("k", metadata, info.version)
        metadata["a"] = "3"
        assert store.stat("k").metadata == {"a": "2"}

    # Many at once

    def test_of_writers_at_once_one_wins_and_nothing_is_mixed(self, store: ObjectStore) -> None:
        contents = [bytes([65 + number]) * (20_000 + number) for number in range(6)]
        stop = threading.Event()

        def look() -> int:
            looks = 0
            while not stop.is_set() or looks == 0:
                with contextlib.suppress(NotFound), store.get("k") as download:
                    buffer = bytearray(30_000)
                    filled = 0
                    while count := download.readinto(memoryview(buffer)[filled:]):
                        filled += count
                    number = int((download.info.metadata or {})["n"])
                    assert bytes(buffer[:filled]) == contents[number]
                    looks += 1
            return looks

        def writer(number: int) -> list[str]:
            return [
                write(store, "k", contents[number], {"n": str(number)}).version for _ in range(15)
            ]

        with ThreadPoolExecutor(1) as pool:
            looking = pool.submit(look)
            results = race(6, writer)
            stop.set()
            assert looking.result() > 0
        versions = [version for result in results if isinstance(result, list) for version in result]
        assert len(set(versions)) == 90
        final = store.stat("k")
        assert final.version in versions
        assert read(store, "k") == contents[int((final.metadata or {})["n"])]

    def test_metadata_set_by_many_at_once_is_always_whole(self, store: ObjectStore) -> None:
        info = write(store, "k", b"content", {"n": "x" * 900})
        stop = threading.Event()

        def look() -> None:
            while not stop.is_set():
                metadata = store.stat("k").metadata
                assert metadata is not None
                assert len(set(metadata["n"])) == 1

        def change(number: int) -> None:
            for _ in range(20):
                store.set_metadata("k", {"n": str(number) * 900}, info.version)

        with ThreadPoolExecutor(1) as pool:
            looking = pool.submit(look)
            assert race(4, change) == [None] * 4
            stop.set()
            looking.result()
        assert store.stat("k").version == info.version
