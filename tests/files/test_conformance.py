"""What every tree must do: scripts, and each method with each of its errors."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from bridge.files.api import Entry, FileTree, Usage
from bridge.files.errors import (
    AlreadyExists,
    ContentChanged,
    IsDirectory,
    NoSuchFile,
    NoSuchParent,
    NotDirectory,
    RootRefused,
)
from bridge.files.path import Path
from tests.files.script import drain, names, path, read, run, snapshot, write

MORE_TREES = ["storj", "storj apart", "model by rights", "memory confined"]

SCRIPTS = {
    "an empty tree": "folder /, list /, none /a, stat /a/b want no-such-file",
    "folders": "mkdir /a, mkdir /a/b, mkdir /a/b/c, list / a, list /a b, list /a/b c, list /a/b/c",
    "mkdir on something": "mkdir /a, mkdir /a want already-exists, write /f x, "
    "mkdir /f want already-exists, mkdir / want already-exists",
    "mkdir without a parent": "mkdir /a/b want no-such-parent, write /f x, "
    "mkdir /f/b want no-such-parent, mkdir /f/b/c want no-such-parent",
    "files": "new write /a hello, is /a hello, list / a, old write /a bye, is /a bye, list / a",
    "an empty file": "write /a, is /a",
    "write without a parent": "write /a/b x want no-such-parent, write /f x, "
    "write /f/b y want no-such-parent, is /f x",
    "write onto a folder": "mkdir /a, write /a x want is-directory, folder /a",
    "write onto the root": "write / x want root-refused",
    "reading what is not a file": "mkdir /a, open /a want is-directory, open / want is-directory, "
    "open /b want no-such-file, open /b/c want no-such-file, write /f x, "
    "open /f/g want no-such-file, stat /f/g want no-such-file, props /f/g want no-such-file",
    "listing what is not a folder": "write /f x, list /f want not-directory, "
    "list /g want no-such-file, list /g/h want no-such-file, list /f/g want no-such-file",
    "delete": "mkdir /a, write /a/b x, delete /a/b, none /a/b, list /a, "
    "delete /a/b want no-such-file, delete /b/c want no-such-file, delete / want root-refused",
    "delete a folder": "mkdir /a, mkdir /a/b, write /a/b/c x, delete /a, none /a, none /a/b/c, "
    "list /, mkdir /a, list /a, none /a/b",
    "delete leaves the siblings": "mkdir /a, mkdir /ab, write /ab/f x, delete /a, is /ab/f x",
    "move a file": "write /a x, new move /a /b, none /a, is /b x, mkdir /d, new move /b /d/c, "
    "none /b, is /d/c x, new move /d/c /a, is /a x, list /d, list / a d",
    "move a folder": "mkdir /a, mkdir /a/b, write /a/b/c x, write /a/d y, new move /a /e, "
    "none /a, none /a/d, is /e/b/c x, is /e/d y, list / e, list /e b d",
    "move a folder under another": "mkdir /a, mkdir /b, write /a/f x, new move /a /b/c, "
    "is /b/c/f x, list / b, new move /b/c /c, is /c/f x, list /b",
    "move swaps": "mkdir /a, mkdir /b, write /a/f 1, write /b/f 2, move /a /t, move /b /a, "
    "move /t /b, is /a/f 2, is /b/f 1",
    "move nothing": "move /a /b want no-such-file, move /a/b /c want no-such-file, "
    "copy /a /b want no-such-file, copy /a/b /c want no-such-file",
    "move without a parent": "write /a x, move /a /b/c want no-such-parent, write /f y, "
    "move /a /f/c want no-such-parent, copy /a /b/c want no-such-parent, "
    "copy /a /f/c want no-such-parent, is /a x, is /f y",
    "move a file under itself": "write /a x, move /a /a/b want no-such-parent|into-itself, "
    "copy /a /a/b want no-such-parent|into-itself, is /a x",
    "move onto something": "write /a x, write /b y, move /a /b want already-exists, is /a x, "
    "is /b y, old move! /a /b, none /a, is /b x, list / b",
    "copy onto something": "write /a x, write /b y, copy /a /b want already-exists, is /a x, "
    "is /b y, old copy! /a /b, is /a x, is /b x, list / a b",
    "move a file onto a folder": "write /a x, mkdir /b, write /b/c y, "
    "move /a /b want already-exists, is /b/c y, old move! /a /b, is /b x, none /b/c, list / b",
    "move a folder onto a file": "mkdir /a, write /a/c x, write /b y, "
    "move /a /b want already-exists, is /b y, old move! /a /b, is /b/c x, list / b",
    "move a folder onto a folder": "mkdir /a, write /a/f 1, mkdir /b, write /b/g 2, "
    "move /a /b want already-exists, old move! /a /b, list /b f, list / b",
    "copy a file onto a folder": "write /a x, mkdir /b, write /b/c y, "
    "copy /a /b want already-exists, old copy! /a /b, is /b x, is /a x, none /b/c",
    "copy a folder onto a file": "mkdir /a, write /a/c x, write /b y, "
    "copy /a /b want already-exists, old copy! /a /b, is /b/c x, is /a/c x",
    "copy a folder onto a folder": "mkdir /a, write /a/f 1, mkdir /b, write /b/g 2, "
    "copy /a /b want already-exists, old copy! /a /b, list /b f, list /a f, list / a b",
    "move into itself": "mkdir /c, mkdir /c/e, write /c/f x, move /c /c/d want into-itself, "
    "move! /c /c/d want into-itself, move! /c /c/e want into-itself, "
    "move! /c /c/f want into-itself, move /c /c/e/d want into-itself, "
    "move /c /c/g/d want into-itself|no-such-parent, is /c/f x, list /c e f",
    "copy into itself": "mkdir /c, mkdir /c/e, write /c/f x, copy /c /c/d want into-itself, "
    "copy! /c /c/e want into-itself, copy! /c /c/f want into-itself, "
    "copy0 /c /c/d want into-itself, copy! /c /c want into-itself, "
    "copy! /c/f /c/f want into-itself, is /c/f x, list /c e f",
    "onto an ancestor": "mkdir /a, mkdir /a/b, mkdir /a/b/c, write /a/b/f x, "
    "move! /a/b /a want into-itself, move! /a/b/c /a want into-itself, "
    "move! /a/b/f /a want into-itself, copy! /a/b /a want into-itself, "
    "copy! /a/b/f /a want into-itself, copy! /a/b/f /a/b want into-itself, is /a/b/f x, "
    "folder /a/b/c",
    "the root": "mkdir /a, move / /b want root-refused, move! / /a want root-refused, "
    "copy / /b want root-refused|into-itself, move! /a / want root-refused, "
    "copy! /a / want root-refused, list / a",
    "move onto itself": "write /a x, mkdir /d, write /d/f y, move! /a /a want into-itself, "
    "move! /d /d want into-itself, is /a x, is /d/f y, list / a d",
    "copy a file": "write /a x, new copy /a /b, is /a x, is /b x, write /a y, is /b x, "
    "delete /a, is /b x",
    "copy a folder": "mkdir /a, mkdir /a/b, mkdir /a/b/c, mkdir /a/e, write /a/b/f x, "
    "write /a/g y, new copy /a /d, is /d/b/f x, is /d/g y, folder /d/b/c, list /d b e g, "
    "list /d/e, write /d/b/f z, write /a/g w, is /a/b/f x, is /d/g y, delete /a, is /d/b/f z, "
    "list / d",
    "copy a copy": "mkdir /a, write /a/f x, copy /a /b, copy /b /c, delete /b, is /a/f x, "
    "is /c/f x",
    "copy a folder into its sibling": "mkdir /a, mkdir /ab, write /a/f x, copy /a /ab/a, "
    "is /ab/a/f x, copy /ab /a/ab, is /a/ab/a/f x",
    "copy a folder alone": "mkdir /a, write /a/f x, mkdir /a/b, new copy0 /a /c, list /c, "
    "list /a b f, mkdir /d, write /d/g y, old copy0! /a /d, list /d, new copy0 /a/f /h, is /h x",
    "a name that begins like another": "mkdir /a, mkdir /a/bb, move /a/bb /a/b, list /a b, "
    "mkdir /aa, move /a /aa/a, list /aa/a b",
    "deep": "mkdir /a, mkdir /a/a, mkdir /a/a/a, mkdir /a/a/a/a, write /a/a/a/a/f x, "
    "move /a/a/a /b, is /b/a/f x, list /a/a, move /b/a/f /f, is /f x, list /b/a",
    "a name is free again": "write /a x, delete /a, mkdir /a, write /a/f y, delete /a, "
    "new write /a z, is /a z, delete /a, new copy0 / /a want root-refused|into-itself, none /a",
    "a moved folder's old name is free": "mkdir /a, write /a/f x, move /a /b, mkdir /a, list /a, "
    "write /a/f y, is /b/f x, is /a/f y",
}


@pytest.mark.parametrize(
    "script", SCRIPTS.values(), ids=[name.replace(" ", "-") for name in SCRIPTS]
)
def test_scripts_run_as_written(tree: FileTree, script: str) -> None:
    run(tree, script)


class Stop(Exception):
    """What the guards of these tests raise."""


CHANGES: dict[str, Callable[[FileTree, list[Entry | None]], object]] = {
    "write new": lambda t, seen: write(t, "/new", b"n", guard=_record(seen)),
    "write over": lambda t, seen: write(t, "/f", b"n", guard=_record(seen)),
    "mkdir": lambda t, seen: t.mkdir(path("/new"), _record(seen)),
    "delete file": lambda t, seen: t.delete(path("/f"), _record(seen)),
    "delete folder": lambda t, seen: t.delete(path("/d"), _record(seen)),
    "move new": lambda t, seen: t.move(
        path("/f"), path("/new"), overwrite=False, guard=_record(seen)
    ),
    "move over": lambda t, seen: t.move(
        path("/f"), path("/d/g"), overwrite=True, guard=_record(seen)
    ),
    "move folder new": lambda t, seen: t.move(
        path("/d"), path("/new"), overwrite=False, guard=_record(seen)
    ),
    "move folder over": lambda t, seen: t.move(
        path("/d"), path("/e"), overwrite=True, guard=_record(seen)
    ),
    "copy new": lambda t, seen: t.copy(
        path("/f"), path("/new"), overwrite=False, guard=_record(seen)
    ),
    "copy over": lambda t, seen: t.copy(
        path("/f"), path("/d/g"), overwrite=True, guard=_record(seen)
    ),
    "copy folder new": lambda t, seen: t.copy(
        path("/d"), path("/new"), overwrite=False, guard=_record(seen)
    ),
    "copy folder over": lambda t, seen: t.copy(
        path("/d"), path("/e"), overwrite=True, guard=_record(seen)
    ),
    "properties of a file": lambda t, seen: t.set_properties(
        path("/f"), set={"{x}p": "new"}, mtime=7, guard=_record(seen)
    ),
    "properties of a folder": lambda t, seen: t.set_properties(
        path("/d"), set={"{x}p": "new"}, guard=_record(seen)
    ),
}
GUARDED = {
    "write new": None,
    "write over": "f",
    "mkdir": None,
    "delete file": "f",
    "delete folder": "d",
    "move new": None,
    "move over": "g",
    "move folder new": None,
    "move folder over": "e",
    "copy new": None,
    "copy over": "g",
    "copy folder new": None,
    "copy folder over": "e",
    "properties of a file": "f",
    "properties of a folder": "d",
}


def _record(seen: list[Entry | None]) -> Callable[[Entry | None], None]:
    """A guard that notes what it was asked about, and stops the first time."""

    def guard(entry: Entry | None) -> None:
        seen.append(entry)
        if len(seen) == 1:
            raise Stop

    return guard


@pytest.mark.parametrize("change", CHANGES)
def test_a_guard_is_asked_about_the_entry_and_when_it_raises_nothing_has_changed(
    tree: FileTree, change: str
) -> None:
    run(tree, "write /f one, mkdir /d, write /d/g two, mkdir /d/h, mkdir /e, write /e/i three")
    run(tree, "set /f {x}p old, set /d {x}p old")
    before = snapshot(tree)
    entries = [tree.stat(path(where)) for where in ("/", "/f", "/d", "/d/g", "/e")]

    seen: list[Entry | None] = []
    with pytest.raises(Stop):
        CHANGES[change](tree, seen)

    assert snapshot(tree) == before
    assert [e.etag for e in entries] == [
        tree.stat(path(where)).etag for where in ("/", "/f", "/d", "/d/g", "/e")
    ]
    assert [e.properties for e in entries] == [
        tree.stat(path(where)).properties for where in ("/", "/f", "/d", "/d/g", "/e")
    ]
    CHANGES[change](tree, seen)  # the guard lets it pass now
    assert len(seen) >= 2  # a copy of a folder asks before its work and again before its end
    for entry in seen:
        assert (entry.name if entry else None) == GUARDED[change]


def test_the_root_is_a_folder_without_a_name(tree: FileTree) -> None:
    root = tree.stat(Path())
    assert (root.name, root.is_directory, root.size, root.etag) == ("", True, 0, "")


def test_an_entry_says_what_was_written(tree: FileTree) -> None:
    entry, new = write(tree, "/a.txt", b"12345", content_type="text/plain", mtime=1_234_567_890)
    assert new
    assert (entry.name, entry.is_directory, entry.size) == ("a.txt", False, 5)
    assert (entry.content_type, entry.mtime, entry.damaged) == ("text/plain", 1_234_567_890, False)
    assert entry.properties == {}
    assert tree.stat(path("/a.txt")) == entry
    assert list(tree.list(Path())) == [entry]
    with tree.open(path("/a.txt")) as reader:
        assert reader.entry == entry


def test_an_overwrite_keeps_creation_time_and_takes_the_new_type(tree: FileTree) -> None:
    first, _ = write(tree, "/a", b"1", content_type="text/plain")
    second, new = write(tree, "/a", b"22", content_type="image/png")
    assert not new
    assert (second.created, second.size, second.content_type) == (first.created, 2, "image/png")


def test_an_etag_is_32_hex_digits_and_a_one_and_new_with_each_content(tree: FileTree) -> None:
    etags = [write(tree, "/a", b"same")[0].etag for _ in range(3)]
    tree.copy(path("/a"), path("/b"), overwrite=False)
    etags.append(tree.stat(path("/b")).etag)
    assert len(set(etags)) == 4
    assert all(re.fullmatch(r"[0-9a-f]{32}-1", etag) for etag in etags)


def test_an_etag_stays_through_move_properties_and_changes_elsewhere(tree: FileTree) -> None:
    run(tree, "mkdir /d, mkdir /e")
    etag = write(tree, "/d/a", b"x")[0].etag
    tree.move(path("/d/a"), path("/d/b"), overwrite=False)
    tree.move(path("/d"), path("/e/d"), overwrite=False)
    tree.set_properties(path("/e/d/b"), set={"{x}p": "v"}, mtime=5)
    write(tree, "/e/d/other", b"y")
    assert tree.stat(path("/e/d/b")).etag == etag


def test_a_move_keeps_what_an_entry_says_but_its_name(tree: FileTree) -> None:
    write(tree, "/a", b"x", content_type="text/plain", mtime=99)
    entry = tree.set_properties(path("/a"), set={"{x}p": "v"})
    tree.move(path("/a"), path("/b"), overwrite=False)
    moved = tree.stat(path("/b"))
    assert moved.name == "b"
    assert (moved.size, moved.mtime, moved.created) == (1, 99, entry.created)
    assert (moved.etag, moved.content_type) == (entry.etag, "text/plain")
    assert moved.properties == {"{x}p": "v"}


def test_a_copy_keeps_type_and_modification_time(tree: FileTree) -> None:
    write(tree, "/a", b"x", content_type="text/plain", mtime=99)
    tree.copy(path("/a"), path("/b"), overwrite=False)
    copied = tree.stat(path("/b"))
    assert (copied.name, copied.size) == ("b", 1)
    assert (copied.mtime, copied.content_type) == (99, "text/plain")


FOLDER_CHANGES: dict[str, Callable[[FileTree], object]] = {
    "a file written": lambda t: write(t, "/d/new", b"x"),
    "a file overwritten": lambda t: write(t, "/d/f", b"x"),
    "a file deleted": lambda t: t.delete(path("/d/f")),
    "a file renamed": lambda t: t.move(path("/d/f"), path("/d/g"), overwrite=False),
    "a file moved out": lambda t: t.move(path("/d/f"), path("/g"), overwrite=False),
    "a file moved in": lambda t: t.move(path("/o"), path("/d/o"), overwrite=False),
    "a file copied in": lambda t: t.copy(path("/o"), path("/d/o"), overwrite=False),
    "a folder made": lambda t: t.mkdir(path("/d/new")),
    "a folder deleted": lambda t: t.delete(path("/d/e")),
    "a folder moved out": lambda t: t.move(path("/d/e"), path("/e"), overwrite=False),
    "a folder copied in": lambda t: t.copy(path("/p"), path("/d/p"), overwrite=False),
    "properties set": lambda t: t.set_properties(path("/d/f"), set={"{x}p": "v"}),
}


@pytest.mark.parametrize("change", FOLDER_CHANGES)
def test_a_folders_mtime_moves_forward_by_whole_seconds_with_each_change_of_a_child(
    tree: FileTree, change: str
) -> None:
    run(tree, "mkdir /d, mkdir /d/e, write /d/e/f x, write /d/f x, write /o x, mkdir /p")
    before = tree.stat(path("/d"))
    inner = tree.stat(path("/d/e")).mtime
    FOLDER_CHANGES[change](tree)
    after = tree.stat(path("/d"))
    assert after.mtime >= before.mtime + 1
    assert after.mtime == int(after.mtime)
    listed = next(entry for entry in tree.list(Path()) if entry.name == "d")
    assert listed.mtime == after.mtime
    if "deleted" not in change and "moved out" not in change:
        assert tree.stat(path("/d/e")).mtime == inner


def test_a_folder_of_many_changes_moves_forward_with_every_one(tree: FileTree) -> None:
    run(tree, "mkdir /d")
    times = []
    for number in range(5):
        write(tree, f"/d/{number}", b"x")
        times.append(tree.stat(path("/d")).mtime)
    assert times == sorted(set(times))


def test_a_folders_mtime_goes_with_it_when_it_is_renamed(tree: FileTree) -> None:
    run(tree, "mkdir /d, write /d/a x, write /d/b x, write /d/c x")
    before = tree.stat(path("/d")).mtime
    tree.move(path("/d"), path("/e"), overwrite=False)
    assert tree.stat(path("/e")).mtime == before


def test_reading_changes_nothing(tree: FileTree) -> None:
    run(tree, "mkdir /d, write /d/f x")
    before = tree.stat(path("/d")).mtime
    run(tree, "is /d/f x, list /d f, props /d/f, stat /d/none want no-such-file")
    assert tree.stat(path("/d")).mtime == before


def test_errors_of_a_listing_come_at_the_call(tree: FileTree) -> None:
    run(tree, "write /f x")
    with pytest.raises(NoSuchFile):
        tree.list(path("/none"))
    with pytest.raises(NotDirectory):
        tree.list(path("/f"))


def test_opening_another_version_than_named_is_refused(tree: FileTree) -> None:
    etag = write(tree, "/f", b"one")[0].etag
    assert drain(tree.open(path("/f"), etag=etag)) == b"one"
    write(tree, "/f", b"two")
    with pytest.raises(ContentChanged):
        tree.open(path("/f"), etag=etag)


def test_nothing_is_visible_before_the_commit(tree: FileTree) -> None:
    run(tree, "write /old content")
    new, over = tree.create(path("/new"), size=200_000), tree.create(path("/old"), size=200_000)
    for writer in (new, over):
        writer.write(b"x" * 200_000)
    run(tree, "list / old, none /new, is /old content")
    new.commit()
    over.abort()
    run(tree, "list / new old, is /old content")
    assert read(tree, "/new") == b"x" * 200_000


def test_an_aborted_writer_leaves_nothing_and_may_be_aborted_again(tree: FileTree) -> None:
    writer = tree.create(path("/a"), size=1)
    writer.write(b"x")
    writer.abort()
    writer.abort()
    assert names(tree, "/") == []


def test_an_abort_after_the_commit_does_nothing(tree: FileTree) -> None:
    writer = tree.create(path("/a"), size=1)
    writer.write(b"x")
    writer.commit()
    writer.abort()
    run(tree, "is /a x")


def test_a_writers_buffer_may_be_used_again(tree: FileTree) -> None:
    buffer = bytearray(b"a" * 70_000)
    with_view = tree.create(path("/f"), size=135_536)
    with_view.write(memoryview(buffer)[:65_536])
    buffer[:] = b"b" * 70_000
    with_view.write(buffer)
    buffer[:] = b"c" * 70_000
    with_view.commit()
    assert read(tree, "/f") == b"a" * 65_536 + b"b" * 70_000


def test_a_commit_onto_what_became_a_folder_is_refused(tree: FileTree) -> None:
    writer = tree.create(path("/a"), size=1)
    writer.write(b"x")
    run(tree, "mkdir /a, write /a/f y")
    with pytest.raises(IsDirectory):
        writer.commit()
    run(tree, "is /a/f y")


def test_a_commit_into_a_deleted_folder_is_refused(tree: FileTree) -> None:
    run(tree, "mkdir /a, mkdir /a/b")
    writer = tree.create(path("/a/b/f"), size=1)
    writer.write(b"x")
    run(tree, "delete /a")
    with pytest.raises(NoSuchParent):
        writer.commit()
    run(tree, "list /, mkdir /a, mkdir /a/b, list /a/b")


def test_a_commit_into_a_folder_moved_into_one_that_was_deleted_is_refused(tree: FileTree) -> None:
    run(tree, "mkdir /a, mkdir /a/b, mkdir /c")
    writer = tree.create(path("/a/b/f"), size=1)
    writer.write(b"x")
    run(tree, "move /a/b /c/b, delete /c")
    with pytest.raises(NoSuchParent):
        writer.commit()
    run(tree, "list / a, list /a")


def test_a_commit_over_a_file_in_a_moved_folder_is_refused_whole_or_done(tree: FileTree) -> None:
    run(tree, "mkdir /a, write /a/f old")
    writer = tree.create(path("/a/f"), size=3)
    writer.write(b"new")
    run(tree, "move /a /b")
    try:
        writer.commit()
    except NoSuchParent:
        run(tree, "is /b/f old")
    else:
        run(tree, "is /b/f new")


def test_a_commit_into_a_folder_deleted_and_made_again_is_not_half_done(tree: FileTree) -> None:
    run(tree, "mkdir /a")
    writer = tree.create(path("/a/f"), size=3)
    writer.write(b"x")
    run(tree, "delete /a, mkdir /a")
    try:
        writer.commit()
    except NoSuchParent:
        run(tree, "list /a")
    else:
        run(tree, "is /a/f x")


def test_a_commit_into_a_renamed_folder_is_found_or_refused(tree: FileTree) -> None:
    run(tree, "mkdir /a")
    writer = tree.create(path("/a/f"), size=1)
    writer.write(b"x")
    run(tree, "move /a /b")
    try:
        writer.commit()
    except NoSuchParent:
        run(tree, "list /b")
    else:
        run(tree, "is /b/f x")
    run(tree, "none /a")


def test_a_commit_says_whether_the_path_was_free_at_the_commit(tree: FileTree) -> None:
    writers = [tree.create(path("/f"), size=1) for _ in range(2)]
    for number, writer in enumerate(writers):
        writer.write(str(number).encode())
    assert [writer.commit()[1] for writer in writers] == [True, False]
    run(tree, "is /f 1")
    writer = tree.create(path("/f"), size=1)
    writer.write(b"2")
    run(tree, "delete /f")
    assert writer.commit()[1]


def test_a_guard_at_the_commit_sees_what_is_there_by_then(tree: FileTree) -> None:
    writer = tree.create(path("/f"), size=4)
    etag = write(tree, "/f", b"other")[0].etag
    seen: list[Entry | None] = []

    def guard(entry: Entry | None) -> None:
        seen.append(entry)

    writer.write(b"mine")
    writer.commit(guard)
    assert [entry.etag if entry else None for entry in seen] == [etag]


def test_the_root_is_refused_by_name(tree: FileTree) -> None:
    with pytest.raises(RootRefused):
        tree.delete(Path())
    with pytest.raises(RootRefused):
        tree.create(Path())
    with pytest.raises(AlreadyExists):
        tree.mkdir(Path())


def test_usage_counts_what_is_there(tree: FileTree) -> None:
    assert tree.usage() == Usage(bytes=0, files=0, stored=0)
    run(tree, "mkdir /a, mkdir /a/b, write /f 12345, write /a/b/g 123")
    write(tree, "/a/h", b"x" * 70_000)
    # The body's header has 528 bytes, and each chunk of 64 KiB 16 more than its content.
    stored = 3 * 528 + 70_008 + 4 * 16
    assert tree.usage() == Usage(bytes=70_008, files=3, stored=stored)
    run(tree, "copy /a /c, delete /a")
    assert tree.usage() == Usage(bytes=70_008, files=3, stored=stored)


def test_usage_of_one_place_counts_what_is_there_and_below(tree: FileTree) -> None:
    run(tree, "mkdir /a, mkdir /a/b, write /f 12345, write /a/b/g 123, write /a/h 1")
    assert tree.usage(path("/a")) == Usage(bytes=4, files=2, stored=2 * 544 + 4)
    assert tree.usage(path("/a/b/g")) == Usage(bytes=3, files=1, stored=547)
    with pytest.raises(NoSuchFile):
        tree.usage(path("/a/c"))
    with pytest.raises(NoSuchFile):
        tree.usage(path("/f/c"))
