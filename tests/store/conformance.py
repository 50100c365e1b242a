"""What every store and every wrapper around one must do (restic: internal/backend/test).

A test module makes a subclass named ``Test…`` and a fixture ``store`` that gives an empty
ObjectStore. Every test is about the interface alone; what only one store has (power cuts,
a full disk, a damaged header) stands with that store.
"""

from __future__ import annotations

import contextlib
import gc
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import TypeVar

import pytest

from bridge.store.api import (
    COMPONENT_LIMIT,
    METADATA_LIMIT,
    PART_LIMIT,
    Changed,
    Exists,
    InvalidKey,
    NotFound,
    ObjectInfo,
    ObjectStore,
    PartInfo,
    StoreError,
    TooLarge,
    Unavailable,
)
from bridge.store.deadline import deadline
from tests.store.objects import keys, read, write

ODD_COMPONENTS = [
    " ",
    "  two spaces ",
    ".hidden",
    "...",
    "trailing.",
    "trailing ",
    "new\nline",
    "tab\tand\rreturn",
    "back\\slash",
    "co:lon",
    'quo"te',
    "apo'strophe",
    "semi;colon",
    "ques?tion",
    "ha#sh",
    "per%cent",
    "%2f",
    "%",
    "%%41",
    "=a",
    "=",
    "+",
    "~",
    "star*",
    "<|>",
    "\x01\x7f",
    "\u00fc",  # one form of an umlaut
    "u\u0308",  # and the other: two different keys
    "\U0001f600",
    "\ufffd",
    "\u202e",
    "CON",
    "con",
    "Con",
    "a.o",
    "a.d",
    "a.c",
    "-rf",
    "tmp",
    "lock",
    "objects",
]


T = TypeVar("T")


def race(count: int, work: Callable[[int], T]) -> list[T | StoreError]:
    """Do ``work(0)`` to ``work(count - 1)`` at once; what each returned or raised."""
    barrier = threading.Barrier(count)

    def one(number: int) -> T | StoreError:
        barrier.wait()
        try:
            return work(number)
        except StoreError as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def winners(results: list[ObjectInfo | StoreError]) -> list[ObjectInfo]:
    """Those of a race that were not told Exists; any other error fails the test."""
    won = [result for result in results if isinstance(result, ObjectInfo)]
    assert all(isinstance(result, (ObjectInfo, Exists)) for result in results), results
    return won


class StoreConformance:
    """The suite. See the module's docstring."""

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
            won = winners(race(8, partial(_commit_one, store, key, contents)))
            assert len(won) == 1
            assert store.stat(key) == won[0]

    def test_of_copies_if_absent_at_once_exactly_one_wins(self, store: ObjectStore) -> None:
        for number in range(4):
            write(store, f"source/{number}", b"%d" % number, {"n": str(number)})
        results = race(4, lambda n: store.copy(f"source/{n}", "copies/one", if_absent=True))
        won = winners(results)
        assert len(won) == 1
        assert store.stat("copies/one") == won[0]
        assert read(store, "copies/one").decode() == (won[0].metadata or {})["n"]

    def test_of_completions_if_absent_at_once_exactly_one_wins(self, store: ObjectStore) -> None:
        ids = []
        for number in range(4):
            ids.append(store.create_multipart("k"))
            put_part(store, "k", ids[-1], 1, b"%d" % number)
        won = winners(
            race(4, lambda n: store.complete_multipart("k", ids[n], {"n": str(n)}, if_absent=True))
        )
        assert len(won) == 1
        winner = (won[0].metadata or {})["n"]
        assert read(store, "k").decode() == winner
        left = {upload.upload_id for upload in store.list_multiparts("")}
        assert left == set(ids) - {ids[int(winner)]}

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

    # Keys

    def test_keys_of_every_kind_are_kept_as_they_are(self, store: ObjectStore) -> None:
        wanted = [f"odd/{component}" for component in ODD_COMPONENTS]
        wanted += [f"deep/{component}/x" for component in ODD_COMPONENTS]
        for key in wanted:
            write(store, key, key.encode())
        for key in wanted:
            assert read(store, key) == key.encode()
        assert sorted(keys(store.list("odd/"))) == sorted(wanted[: len(ODD_COMPONENTS)])
        assert sorted(keys(store.list("", recursive=True))) == sorted(wanted)
        store.delete_many(wanted)
        assert keys(store.list("", recursive=True)) == []

    def test_the_longest_keys_and_components_are_kept(self, store: ObjectStore) -> None:
        long = [
            "a" * COMPONENT_LIMIT,
            "A" * COMPONENT_LIMIT,
            "a" * (COMPONENT_LIMIT - 1),
            "a" * (COMPONENT_LIMIT - 1) + "b",
            "\u00fc" * (COMPONENT_LIMIT // 2),
            "b" * COMPONENT_LIMIT + "/" + "c" * 299,
            "\U0001f600" * 350 + "/" + "\u20ac" * 99 + "/x",
            "d" * 299 + "/" + "\n" * COMPONENT_LIMIT,
            "e/" * 849 + "ee",
            "\x01/" * 849 + "\x02\x03",
        ]
        for key in long:
            write(store, key, key.encode(), {"key": key[:100]})
        for key in long:
            assert read(store, key) == key.encode()
            assert store.stat(key).key == key
        assert sorted(keys(store.list("", recursive=True))) == sorted(long)
        flat = [key if "/" not in key else key.partition("/")[0] + "/" for key in long]
        assert sorted(keys(store.list(""))) == sorted(flat)
        assert keys(store.list("b" * COMPONENT_LIMIT + "/")) == [long[5]]
        store.move(long[0], long[4] + "/moved")
        assert read(store, long[4] + "/moved") == long[0].encode()
        store.delete_many(keys(store.list("", recursive=True)))
        assert keys(store.list("")) == []

    def test_keys_that_differ_in_case_are_different(self, store: ObjectStore) -> None:
        for key in ("name", "Name", "NAME", "nAme", "dir/x", "Dir/x"):
            write(store, key, key.encode())
        for key in ("name", "Name", "NAME", "nAme", "dir/x", "Dir/x"):
            assert read(store, key) == key.encode()
        assert len(keys(store.list(""))) == 6

    def test_an_object_may_have_the_name_of_a_prefix(self, store: ObjectStore) -> None:
        for key in ("a", "a/b", "a/b/c"):
            write(store, key, key.encode())
        assert [read(store, key) for key in ("a", "a/b", "a/b/c")] == [b"a", b"a/b", b"a/b/c"]
        assert sorted(keys(store.list(""))) == ["a", "a/"]
        assert sorted(keys(store.list("a/"))) == ["a/b", "a/b/"]
        store.delete("a/b")
        assert sorted(keys(store.list("", recursive=True))) == ["a", "a/b/c"]
        store.delete("a/b/c")
        assert keys(store.list("")) == ["a"]

    # Listing

    def test_a_listing_tells_what_stat_tells(self, store: ObjectStore) -> None:
        infos = {f"d/{n}": write(store, f"d/{n}", b"x" * n, {"n": str(n)}) for n in range(20)}
        assert {info.key: info for info in store.list("d/")} == infos
        assert {info.key: info for info in store.list("", recursive=True)} == infos

    def test_what_lies_deeper_appears_once_as_a_common_prefix(self, store: ObjectStore) -> None:
        for key in ("p/a", "p/b/1", "p/b/2", "p/b/c/3", "p/d/e/f", "q/a", "pa"):
            write(store, key)
        assert sorted(keys(store.list("p/"))) == ["p/a", "p/b/", "p/d/"]
        prefixes = [info for info in store.list("p/") if info.is_prefix]
        assert sorted(prefixes, key=lambda info: info.key) == [
            ObjectInfo("p/b/", is_prefix=True),
            ObjectInfo("p/d/", is_prefix=True),
        ]
        assert sorted(keys(store.list(""))) == ["p/", "pa", "q/"]
        assert sorted(keys(store.list("p/b/", recursive=True))) == ["p/b/1", "p/b/2", "p/b/c/3"]

    def test_a_listing_is_of_a_folder_and_not_of_a_text(self, store: ObjectStore) -> None:
        write(store, "folder")
        write(store, "folder2/x")
        assert keys(store.list("folder/")) == []
        assert keys(store.list("fold/")) == []
        assert keys(store.list("folder2/x/")) == []
        for prefix in ("fold", "/", "a//", "../"):
            with pytest.raises(InvalidKey):
                store.list(prefix)

    @pytest.mark.parametrize("recursive", [False, True])
    def test_a_listing_goes_on_after_each_of_its_keys(
        self, store: ObjectStore, recursive: bool
    ) -> None:
        chosen = random.Random(7)
        for number in range(60):
            names = ["a", "B", "a!", "a0", "\u00fc", "z" * 300]
            parts = chosen.choices(names, k=chosen.randrange(1, 4))
            write(store, "/".join(["top", *parts, str(number % 7)]))
        for prefix in ("", "top/", "top/a/"):
            whole = keys(store.list(prefix, recursive=recursive))
            assert len(whole) == len(set(whole))
            assert keys(store.list(prefix, recursive=recursive)) == whole
            for index, key in enumerate(whole):
                rest = store.list(prefix, recursive=recursive, cursor=key)
                assert keys(rest) == whole[index + 1 :]

    def test_a_cursor_holds_though_its_object_is_gone(self, store: ObjectStore) -> None:
        for number in range(12):
            write(store, f"d/{number}")
            write(store, f"d/sub{number}/x")
        for recursive in (False, True):
            whole = keys(store.list("d/", recursive=recursive))
            middle = whole[len(whole) // 2]
            gone = f"{middle}x" if middle.endswith("/") else middle
            store.delete(gone)
            rest = store.list("d/", recursive=recursive, cursor=middle)
            assert keys(rest) == whole[len(whole) // 2 + 1 :]
            write(store, gone)

    def test_pages_of_a_changing_listing_hold_every_lasting_object_once(
        self, store: ObjectStore
    ) -> None:
        lasting = {f"d/{number:03}" for number in range(0, 100, 2)}
        for number in range(100):
            write(store, f"d/{number:03}")
        seen: list[str] = []
        cursor = None
        others = [f"d/{number:03}" for number in range(1, 100, 2)]
        while page := keys(islice(store.list("d/", cursor=cursor), 7)):
            seen += page
            cursor = page[-1]
            store.delete(others.pop())
            write(store, f"d/new{len(others)}")
            write(store, chosen := sorted(lasting)[len(others) % len(lasting)], b"replaced")
            assert chosen in lasting
        assert len(seen) == len(set(seen))
        assert lasting <= set(seen)

    def test_an_object_replaced_all_the_while_is_in_every_listing(self, store: ObjectStore) -> None:
        for number in range(50):
            write(store, f"d/{number}")
        stop = threading.Event()

        def replace() -> None:
            while not stop.is_set():
                write(store, "d/25", b"x")

        with ThreadPoolExecutor(1) as pool:
            replacing = pool.submit(replace)
            listings = [keys(store.list("d/")) for _ in range(100)]
            stop.set()
            replacing.result()
        assert all(len(listing) == 50 and "d/25" in listing for listing in listings)

    def test_a_listing_may_be_left_in_its_middle(self, store: ObjectStore) -> None:
        for number in range(30):
            write(store, f"d/{number}/x")
        listing = store.list("", recursive=True)
        assert next(listing).size == 0
        del listing
        gc.collect()
        assert len(keys(store.list("d/"))) == 30

    # Deleting

    def test_a_deleted_object_is_gone_and_a_missing_one_is_no_error(
        self, store: ObjectStore
    ) -> None:
        write(store, "a/b", b"content")
        write(store, "a/c", b"content")
        store.delete("a/b")
        store.delete("a/b")
        store.delete("never/was")
        with pytest.raises(NotFound):
            store.stat("a/b")
        assert keys(store.list("", recursive=True)) == ["a/c"]

    def test_many_objects_are_deleted_at_once(self, store: ObjectStore) -> None:
        doomed = [f"d/{number % 5}/{number}" for number in range(150)]
        for key in [*doomed, "d/kept", "d/1/kept"]:
            write(store, key)
        random.Random(3).shuffle(doomed)
        store.delete_many([*doomed, "missing", "d/missing", doomed[0]])
        store.delete_many([])
        assert sorted(keys(store.list("", recursive=True))) == ["d/1/kept", "d/kept"]
        assert sorted(keys(store.list("d/"))) == ["d/1/", "d/kept"]

    def test_writing_into_a_folder_that_is_emptied_all_the_while_succeeds(
        self, store: ObjectStore
    ) -> None:
        def work(number: int) -> None:
            for _ in range(25):
                write(store, f"x/y/z/{number}", b"content")
                store.move(f"x/y/z/{number}", f"u/v/{number}")
                store.delete(f"u/v/{number}")

        assert race(6, work) == [None] * 6
        assert keys(store.list("")) == []

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

    # Multipart uploads

    def test_parts_written_in_any_order_become_one_object(self, store: ObjectStore) -> None:
        upload_id = store.create_multipart("m/k")
        contents = {n: random.Random(n).randbytes(n * 1000) for n in (7, 2, PART_LIMIT // 100, 1)}
        for number, content in contents.items():
            part = put_part(store, "m/k", upload_id, number, content, etag=f"etag {number}")
            assert (part.number, part.size, part.etag) == (number, len(content), f"etag {number}")
        assert not exists(store, "m/k")
        assert keys(store.list("", recursive=True)) == []
        parts = store.list_parts("m/k", upload_id)
        assert [part.number for part in parts] == sorted(contents)
        assert [part.size for part in parts] == [n * 1000 for n in sorted(contents)]
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
        put_part(store, "k", upload_id, 2, b"replaced and longer", etag="old")
        results = race(5, lambda n: put_part(store, "k", upload_id, n + 1, b"%d" % (n + 1)))
        assert [part.number for part in results if not isinstance(part, StoreError)] == [
            1,
            2,
            3,
            4,
            5,
        ]
        assert [part.size for part in store.list_parts("k", upload_id)] == [1] * 5
        assert store.complete_multipart("k", upload_id, {}).size == 5
        assert read(store, "k") == b"12345"

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
        with pytest.raises(NotFound):
            part.commit("etag")
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


def _commit_one(store: ObjectStore, key: str, contents: list[bytes], number: int) -> ObjectInfo:
    return write(store, key, contents[number], if_absent=True)


def put_part(
    store: ObjectStore, key: str, upload_id: str, number: int, content: bytes, etag: str = "etag"
) -> PartInfo:
    """Write and commit one part."""
    part = store.put_part(key, upload_id, number)
    part.write(content)
    return part.commit(etag)


def exists(store: ObjectStore, key: str) -> bool:
    """Whether an object is at ``key``."""
    try:
        store.stat(key)
    except NotFound:
        return False
    return True
