"""Dead properties: kept in the record while they fit there, apart from it when they do not."""

from __future__ import annotations

import pytest

from bridge.files.api import FileTree
from bridge.files.errors import IsDirectory, NoSuchFile, PropertiesTooLarge, RootRefused
from bridge.files.path import Path
from tests.files.script import names, path, read, run, write

SMALL = {"{urn:x}color": "<x:color xmlns:x='urn:x'>r\u00f6t</x:color>", "{}none": "<none/>"}
BIG = {f"{{urn:x}}p{number}": "v" * 1_000 for number in range(8)}
"""8 KiB: more than any record holds."""

SETS = pytest.mark.parametrize("some", [SMALL, BIG], ids=["small", "spilled"])
KINDS = pytest.mark.parametrize("kind", ["file", "folder"])


def make(tree: FileTree, where: str, kind: str) -> Path:
    if kind == "file":
        write(tree, where, b"content")
    else:
        tree.mkdir(path(where))
    return path(where)


@SETS
@KINDS
class TestProperties:
    def test_are_kept(self, tree: FileTree, kind: str, some: dict[str, str]) -> None:
        where = make(tree, "/a", kind)
        entry = tree.set_properties(where, set=some)
        assert entry.name == "a"
        assert tree.properties(where) == some
        assert tree.stat(where).properties in (some, None)
        (listed,) = tree.list(Path())
        assert listed.properties in (some, None)

    def test_are_changed_and_removed_one_by_one(
        self, tree: FileTree, kind: str, some: dict[str, str]
    ) -> None:
        where = make(tree, "/a", kind)
        tree.set_properties(where, set=some)
        first, *rest = some
        tree.set_properties(
            where, set={rest[0]: "new", "{y}more": "more"}, remove=frozenset({first, "{y}absent"})
        )
        wanted = {**some, rest[0]: "new", "{y}more": "more"}
        del wanted[first]
        assert tree.properties(where) == wanted
        tree.set_properties(where, remove=frozenset(wanted))
        assert tree.properties(where) == {}
        assert tree.stat(where).properties == {}

    def test_go_with_a_move(self, tree: FileTree, kind: str, some: dict[str, str]) -> None:
        where = make(tree, "/a", kind)
        tree.set_properties(where, set=some)
        run(tree, "mkdir /d, move /a /d/b")
        assert tree.properties(path("/d/b")) == some
        run(tree, "move /d /e")
        assert tree.properties(path("/e/b")) == some

    def test_are_copied_and_then_stand_alone(
        self, tree: FileTree, kind: str, some: dict[str, str]
    ) -> None:
        where = make(tree, "/a", kind)
        tree.set_properties(where, set=some)
        run(tree, "copy /a /b")
        assert tree.properties(path("/b")) == some
        tree.set_properties(path("/b"), set={"{y}own": "b"})
        assert tree.properties(where) == some
        tree.set_properties(where, remove=frozenset(some))
        assert tree.properties(path("/b")) == {**some, "{y}own": "b"}

    @pytest.mark.parametrize("gone", ["/a", "/b"])
    def test_of_a_copy_survive_the_other_ones_deletion(
        self, tree: FileTree, kind: str, some: dict[str, str], gone: str
    ) -> None:
        where = make(tree, "/a", kind)
        tree.set_properties(where, set=some)
        run(tree, f"copy /a /b, delete {gone}")
        left = "/b" if gone == "/a" else "/a"
        assert tree.properties(path(left)) == some
        if kind == "file":
            assert read(tree, left) == b"content"

    def test_inside_a_copied_folder_are_copied(
        self, tree: FileTree, kind: str, some: dict[str, str]
    ) -> None:
        run(tree, "mkdir /d")
        make(tree, "/d/a", kind)
        tree.set_properties(path("/d/a"), set=some)
        tree.set_properties(path("/d"), set=some)
        run(tree, "copy /d /e, copy0 /d /f, delete /d")
        assert tree.properties(path("/e")) == some
        assert tree.properties(path("/e/a")) == some
        assert tree.properties(path("/f")) == some
        assert names(tree, "/f") == []

    def test_of_what_a_copy_or_move_replaces_are_gone(
        self, tree: FileTree, kind: str, some: dict[str, str]
    ) -> None:
        make(tree, "/a", kind)
        for old in ("/b", "/c"):
            tree.set_properties(make(tree, old, kind), set=some)
        run(tree, "copy! /a /b, move! /a /c")
        assert tree.properties(path("/b")) == {}
        assert tree.properties(path("/c")) == {}


@SETS
def test_an_overwrite_keeps_them(tree: FileTree, some: dict[str, str]) -> None:
    write(tree, "/a", b"one")
    tree.set_properties(path("/a"), set=some)
    write(tree, "/a", b"two")
    assert tree.properties(path("/a")) == some
    assert read(tree, "/a") == b"two"


@SETS
def test_those_set_while_a_writer_was_open_are_kept(tree: FileTree, some: dict[str, str]) -> None:
    write(tree, "/a", b"one")
    writer = tree.create(path("/a"), size=3)
    writer.write(b"two")
    tree.set_properties(path("/a"), set=some)
    writer.commit()
    assert tree.properties(path("/a")) == some


@SETS
def test_a_file_made_where_one_was_deleted_has_none(tree: FileTree, some: dict[str, str]) -> None:
    write(tree, "/a", b"one")
    tree.set_properties(path("/a"), set=some)
    tree.delete(path("/a"))
    write(tree, "/a", b"two")
    assert tree.properties(path("/a")) == {}


def test_the_root_holds_none(tree: FileTree) -> None:
    assert tree.properties(Path()) == {}
    with pytest.raises(RootRefused):
        tree.set_properties(Path(), set=SMALL)


def test_the_time_of_a_folder_is_not_set(tree: FileTree) -> None:
    run(tree, "mkdir /d")
    before = tree.stat(path("/d")).mtime
    with pytest.raises(IsDirectory):
        tree.set_properties(path("/d"), set=SMALL, mtime=5)
    assert tree.stat(path("/d")).mtime == before
    assert tree.properties(path("/d")) == {}


def test_setting_them_leaves_content_and_etag(tree: FileTree) -> None:
    entry, _ = write(tree, "/a", b"content", content_type="text/plain", mtime=99)
    changed = tree.set_properties(path("/a"), set=BIG)
    assert (changed.etag, changed.mtime, changed.created) == (entry.etag, 99, entry.created)
    assert (changed.content_type, changed.size) == ("text/plain", 7)
    assert read(tree, "/a") == b"content"


def test_the_modification_time_of_a_file_is_set_with_them(tree: FileTree) -> None:
    etag = write(tree, "/a", b"content")[0].etag
    entry = tree.set_properties(path("/a"), set=SMALL, mtime=1_000_000_000)
    assert (entry.mtime, entry.etag) == (1_000_000_000, etag)
    assert tree.stat(path("/a")).mtime == 1_000_000_000
    assert tree.set_properties(path("/a"), mtime=12.0).mtime == 12.0
    assert tree.properties(path("/a")) == SMALL


def test_a_missing_file_has_none(tree: FileTree) -> None:
    for where in (path("/a"), path("/a/b")):
        with pytest.raises(NoSuchFile):
            tree.properties(where)
        with pytest.raises(NoSuchFile):
            tree.set_properties(where, set=SMALL)


@KINDS
def test_too_much_is_refused_and_changes_nothing(tree: FileTree, kind: str) -> None:
    where = make(tree, "/a", kind)
    tree.set_properties(where, set=SMALL)
    with pytest.raises(PropertiesTooLarge):
        tree.set_properties(where, set={"{x}p": "v" * (16 << 20)}, remove=frozenset(SMALL))
    assert tree.properties(where) == SMALL


def test_many_changes_between_small_and_spilled_end_right(tree: FileTree) -> None:
    write(tree, "/a", b"content")
    for _ in range(3):
        tree.set_properties(path("/a"), set=BIG)
        tree.set_properties(path("/a"), set=SMALL, remove=frozenset(BIG))
    assert tree.properties(path("/a")) == SMALL
