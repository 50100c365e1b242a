"""Readers hold no lease: what they look up may be replaced before they open it.

A ``ScriptedStore`` steps in between the look-up of an entry and the opening of what it names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path as FilePath

import pytest

from bridge.files.errors import (
    Busy,
    ContentChanged,
    DamagedFile,
    FileError,
    IsDirectory,
    NoSuchFile,
)
from bridge.files.fsck import Fsck
from bridge.store.retrying import RetryingStore
from tests.files.script import drain, path, read, run, write
from tests.files.scripted_store import Call, ScriptedStore
from tests.files.vault import LAYOUT, OpenNew, Vault, check_clean
from tests.store.faulty import FAILED, FaultyStore, Script

OLD = b"old" * 30_000
NEW = b"new content" * 10_000
BIG = {"{x}p": "v" * 4_000}


@pytest.fixture
def apart(open_new: OpenNew, tmp_path: FilePath) -> Iterator[Vault]:
    """A vault whose bodies stand apart from their entries, with the file ``/f``."""
    with open_new(tmp_path, standalone=1) as made:
        write(made.tree(), "/f", OLD)
        write(made.tree(), "/g", NEW)
        yield made


CHANGES: dict[str, tuple[str, bytes | type[FileError]]] = {
    "an overwrite": ("", NEW),
    "two overwrites": ("write /f between", NEW),
    "a move onto it": ("move! /g /f", NEW),
    "a copy onto it": ("copy! /g /f", NEW),
    "a deletion": ("delete /f", NoSuchFile),
    "a folder in its place": ("delete /f, mkdir /f", IsDirectory),
    "a move away": ("move /f /h", OLD),  # it was there when it was looked up, and its body stays
    "an update": ("set /f {x}p v", OLD),
}


class TestABodyThatStandsApart:
    @pytest.mark.parametrize("change", CHANGES)
    def test_is_read_whole_or_not_found_whatever_happened_since_its_entry_was_looked_up(
        self, apart: Vault, change: str
    ) -> None:
        store, stranger = ScriptedStore(apart.store), apart.tree()
        script, wanted = CHANGES[change]

        def step_in(_call: Call) -> None:
            run(stranger, script)
            if "overwrite" in change:
                write(stranger, "/f", NEW)

        store.on("get", step_in, part=LAYOUT.bodies)
        tree = apart.tree(store)
        if isinstance(wanted, bytes):
            assert read(tree, "/f") == wanted
        else:
            with pytest.raises(wanted):
                read(tree, "/f")
        assert store.done
        check_clean(apart)

    def test_is_read_in_part_of_one_version(self, apart: Vault) -> None:
        store, stranger = ScriptedStore(apart.store), apart.tree()
        store.on("get", lambda _call: write(stranger, "/f", NEW), part=LAYOUT.bodies)
        assert read(apart.tree(store), "/f", 70_000, 1_000) == NEW[70_000:71_000]
        assert store.done

    def test_is_not_read_of_another_version_than_the_one_that_was_named(self, apart: Vault) -> None:
        store, stranger = ScriptedStore(apart.store), apart.tree()
        etag = stranger.stat(path("/f")).etag
        store.on("get", lambda _call: write(stranger, "/f", NEW), part=LAYOUT.bodies)
        with pytest.raises(ContentChanged):
            apart.tree(store).open(path("/f"), 70_000, 1_000, etag=etag)
        assert store.done

    def test_that_is_replaced_at_each_look_is_given_up(self, apart: Vault) -> None:
        store, stranger = ScriptedStore(apart.store), apart.tree()

        def each(call: Call) -> None:
            if call.name == "get" and call.key.startswith(LAYOUT.bodies):
                write(stranger, "/f", NEW)

        store.each = each
        with pytest.raises(Busy):
            read(apart.tree(store), "/f")
        store.each = None
        assert read(apart.tree(store), "/f") == NEW

    @pytest.mark.parametrize("change", ["", "set /f {x}p v"], ids=["before", "with an update"])
    def test_that_is_missing_makes_its_file_damaged(self, apart: Vault, change: str) -> None:
        store = ScriptedStore(apart.store)
        body = apart.tree().vault.walker.find(path("/f"))[1].record.body  # type: ignore[union-attr]
        apart.store.delete(LAYOUT.body(body))
        stranger = apart.tree()
        store.on("get", lambda _call: run(stranger, change), part=LAYOUT.bodies)
        with pytest.raises(DamagedFile):
            read(apart.tree(store), "/f")
        assert store.count("get") < 5

    def test_is_copied_though_its_file_is_overwritten_just_before(self, apart: Vault) -> None:
        store, stranger = ScriptedStore(apart.store), apart.tree()
        acquire = apart.state.acquire

        def late(*args: object, **kwargs: object) -> object:
            apart.state.acquire = acquire  # type: ignore[method-assign]
            write(stranger, "/f", NEW)
            return acquire(*args, **kwargs)  # type: ignore[arg-type]

        tree = apart.tree(store)
        assert read(tree, "/f") == OLD
        apart.state.acquire = late  # type: ignore[method-assign,assignment]
        tree.copy(path("/f"), path("/copy"), overwrite=False)
        assert read(tree, "/copy") == NEW
        check_clean(apart)


SPILLING: dict[str, tuple[str, dict[str, str] | type[FileError]]] = {
    "another update": ("set /f {x}q w", {**BIG, "{x}q": "w"}),
    "an overwrite": ("write /f new", BIG),
    "a move onto it": ("move! /g /f", {}),
    "a deletion": ("delete /f", NoSuchFile),
}


class TestSpilledProperties:
    @pytest.mark.parametrize("change", SPILLING)
    def test_are_read_whatever_happened_since_their_record_was_looked_up(
        self, vault: Vault, change: str
    ) -> None:
        run(vault.tree(), "write /f f, write /g g")
        vault.tree().set_properties(path("/f"), set=BIG)
        store, stranger = ScriptedStore(vault.store), vault.tree()
        script, wanted = SPILLING[change]
        store.on("get", lambda _call: run(stranger, script), part=LAYOUT.spills)
        tree = vault.tree(store)
        tree.stat(path("/f"))  # its cache knows the record
        if isinstance(wanted, dict):
            assert tree.properties(path("/f")) == wanted
        else:
            with pytest.raises(wanted):
                tree.properties(path("/f"))
        assert store.done

    @pytest.mark.parametrize(
        "use",
        [
            lambda tree: tree.properties(path("/f")),
            lambda tree: tree.set_properties(path("/f"), set={"{x}q": "w"}),
            lambda tree: write(tree, "/f", b"new"),
            lambda tree: tree.copy(path("/f"), path("/g"), overwrite=False),
        ],
        ids=["read", "update", "overwrite", "copy"],
    )
    def test_that_are_missing_make_their_file_damaged_and_not_missing(
        self, vault: Vault, use: Callable[[object], object]
    ) -> None:
        run(vault.tree(), "write /f f")
        vault.tree().set_properties(path("/f"), set=BIG)
        vault.store.delete(vault.keys_under(LAYOUT.spills)[0])
        with pytest.raises(DamagedFile):
            use(vault.tree())
        run(vault.tree(), "is /f f")

    @pytest.mark.parametrize(("where", "call"), [("before", "commit"), ("while", "copy")])
    def test_of_a_folder_that_change_while_it_is_copied_do_not_end_the_copy(
        self, vault: Vault, where: str, call: str
    ) -> None:
        run(vault.tree(), "mkdir /d, write /d/f f")
        vault.tree().set_properties(path("/d"), set=BIG)
        store, stranger = ScriptedStore(vault.store), vault.tree()
        part = LAYOUT.intents if where == "before" else ""
        store.on(call, lambda _call: run(stranger, "set /d {x}q w"), part=part)
        tree = vault.tree(store)
        tree.copy(path("/d"), path("/c"), overwrite=False)
        assert store.done
        assert tree.properties(path("/c")) == BIG
        run(tree, "is /c/f f")
        check_clean(vault)

    def test_of_a_folder_that_change_just_before_it_is_copied_are_copied(
        self, vault: Vault
    ) -> None:
        run(vault.tree(), "mkdir /d")
        vault.tree().set_properties(path("/d"), set=BIG)
        store, stranger = ScriptedStore(vault.store), vault.tree()
        store.on("get", lambda _call: run(stranger, "set /d {x}q w"), part=LAYOUT.spills)
        tree = vault.tree(store)
        tree.copy(path("/d"), path("/c"), overwrite=False)
        assert store.done
        assert tree.properties(path("/c")) == {**BIG, "{x}q": "w"}
        check_clean(vault)


@pytest.mark.parametrize("change", ["write /f new", "delete /f"])
def test_a_download_that_breaks_off_is_not_gone_on_with_in_another_version(
    vault: Vault, change: str
) -> None:
    write(vault.tree(), "/f", OLD)
    faulty = FaultyStore(vault.store, Script(read=[None, FAILED]))
    reader = vault.tree(RetryingStore(faulty, first=0.001)).open(path("/f"))
    assert bytes(reader.read(65_536)) == OLD[:65_536]
    run(vault.tree(), change)
    with pytest.raises(Busy):
        drain(reader)


@pytest.mark.parametrize("change", ["write /f new", "delete /f", "set /f {x}q w"])
@pytest.mark.parametrize("part", [LAYOUT.spills, LAYOUT.bodies], ids=["spill", "body"])
def test_what_is_replaced_while_fsck_looks_for_it_is_not_reported_as_missing(
    apart: Vault, part: str, change: str
) -> None:
    apart.tree().set_properties(path("/f"), set=BIG)
    store, stranger = ScriptedStore(apart.store), apart.tree()
    store.on("stat", lambda _call: run(stranger, change), part=part)
    assert Fsck(apart.tree(store)).run().problems == ()
    assert store.done
