"""Conformance of a store: keys, listings, and removing what they name."""

from __future__ import annotations

import gc
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import pytest

from bridge.store.api import (
    COMPONENT_LIMIT,
    COMPONENTS_LIMIT,
    KEY_LIMIT,
    InvalidKey,
    NotFound,
    ObjectInfo,
    ObjectStore,
)
from tests.store.objects import keys, race, read, write

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


class ListingConformance:
    """Keys of every kind, prefixes, cursors, deletion."""

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
            "e/" * (COMPONENTS_LIMIT - 1) + "e" * COMPONENT_LIMIT,
            ("\x01" * 70 + "/") * (COMPONENTS_LIMIT - 1) + "\x02" * 67,
        ]
        assert max(len(key.encode()) for key in long) == KEY_LIMIT
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
