"""Many threads at once: what was acknowledged is there, whole, and exactly one winner is."""

from __future__ import annotations

import contextlib
import threading
from typing import TypeVar

import pytest

from bridge.files.api import FileTree
from bridge.files.errors import (
    AlreadyExists,
    FileError,
    IntoItself,
    NoSuchFile,
    NoSuchParent,
)
from bridge.files.path import Path
from tests.files.racing import race
from tests.files.script import names, path, read, run, snapshot, write

T = TypeVar("T")
REFUSED = (NoSuchFile, NoSuchParent)


def acknowledged(answers: list[T | FileError]) -> list[T]:
    return [answer for answer in answers if not isinstance(answer, FileError)]


def test_of_16_writers_to_one_name_one_wins_whole(tree: FileTree) -> None:
    contents = [bytes([65 + number]) * (65_536 + number) for number in range(16)]
    answers = race(*(lambda c=content: write(tree, "/f", c) for content in contents))
    entries = acknowledged(answers)
    assert len(entries) == 16
    assert [new for _, new in entries].count(True) == 1
    found = read(tree, "/f")
    assert found in contents
    entry = tree.stat(path("/f"))
    assert entry.etag in {each.etag for each, _ in entries}
    assert next(e.size for e, _ in entries if e.etag == entry.etag) == len(found) == entry.size
    assert names(tree, "/") == ["f"]


def test_writers_to_16_names_in_one_folder_all_succeed(tree: FileTree) -> None:
    run(tree, "mkdir /d")
    before = tree.stat(path("/d")).mtime
    answers = race(
        *(lambda n=number: write(tree, f"/d/{n}", str(n).encode()) for number in range(16))
    )
    assert len(acknowledged(answers)) == 16
    assert snapshot(tree, path("/d")) == {str(n): str(n).encode() for n in range(16)}
    assert tree.stat(path("/d")).mtime >= before + 16


def test_of_16_mkdirs_one_wins(tree: FileTree) -> None:
    answers = race(*[lambda: tree.mkdir(path("/d"))] * 16)
    assert len(acknowledged(answers)) == 1
    assert all(isinstance(a, AlreadyExists) for a in answers if isinstance(a, FileError))
    run(tree, "write /d/f x, list /d f, list / d")


def test_a_mkdir_and_a_write_of_one_name_do_not_destroy_each_other(tree: FileTree) -> None:
    for _ in range(10):
        made, written = race(
            lambda: tree.mkdir(path("/n")).is_directory,
            lambda: write(tree, "/n", b"x")[0].is_directory,
        )
        assert isinstance(made, FileError) != isinstance(written, FileError)
        assert tree.stat(path("/n")).is_directory != isinstance(made, FileError)
        tree.delete(path("/n"))


def test_of_16_moves_of_one_file_one_wins(tree: FileTree) -> None:
    write(tree, "/f", b"content")
    answers = race(
        *(
            lambda n=number: tree.move(path("/f"), path(f"/{n}"), overwrite=False)
            for number in range(16)
        )
    )
    assert acknowledged(answers) == [True]
    assert all(isinstance(a, NoSuchFile) for a in answers if isinstance(a, FileError))
    (name,) = names(tree, "/")
    assert read(tree, f"/{name}") == b"content"


def test_of_16_moves_to_one_name_all_but_the_last_are_replaced(tree: FileTree) -> None:
    for number in range(16):
        write(tree, f"/{number}", str(number).encode())
    answers = race(
        *(
            lambda n=number: tree.move(path(f"/{n}"), path("/f"), overwrite=True)
            for number in range(16)
        )
    )
    assert sorted(map(bool, acknowledged(answers))) == [False] * 15 + [True]
    assert names(tree, "/") == ["f"]
    assert int(read(tree, "/f")) in range(16)


def test_files_exchanged_by_moves_at_once_are_neither_lost_nor_doubled(tree: FileTree) -> None:
    for _ in range(5):
        run(tree, "write /a 1, write /b 2")
        answers = race(
            lambda: tree.move(path("/a"), path("/c"), overwrite=False),
            lambda: tree.move(path("/b"), path("/c"), overwrite=False),
        )
        assert len(acknowledged(answers)) == 1
        assert sorted(snapshot(tree).values()) == [b"1", b"2"]  # type: ignore[type-var]
        for name in names(tree, "/"):
            tree.delete(path(name))


@pytest.mark.parametrize("round_", range(3))
def test_every_file_acknowledged_while_its_folder_is_renamed_is_found_under_the_new_name(
    tree: FileTree, round_: int
) -> None:
    run(tree, "mkdir /old")
    stop = threading.Event()

    def writes(writer: int) -> dict[str, bytes]:
        done: dict[str, bytes] = {}
        for number in range(200):
            if stop.is_set() and number > 5:
                break
            name, content = f"{writer}-{number}", f"{round_}-{writer}-{number}".encode()
            try:
                write(tree, f"/old/{name}", content)
            except NoSuchParent:
                break
            done[name] = content
        return done

    def rename() -> dict[str, bytes]:
        tree.move(path("/old"), path("/new"), overwrite=False)
        stop.set()
        return {}

    answers = race(*(lambda w=writer: writes(w) for writer in range(3)), rename)
    assert len(acknowledged(answers)) == 4
    wanted = {name: content for done in acknowledged(answers) for name, content in done.items()}
    assert snapshot(tree, path("/new")) == wanted
    assert names(tree, "/") == ["new"]


@pytest.mark.parametrize("round_", range(3))
def test_no_file_is_acknowledged_in_a_folder_after_its_deletion_was(
    tree: FileTree, round_: int
) -> None:
    run(tree, "mkdir /d, mkdir /d/e")
    deleted = threading.Event()

    def writes(writer: int) -> int:
        late = 0
        for number in range(200):
            began_late = deleted.is_set()
            try:
                write(tree, f"/d/e/{writer}-{number}", b"x")
            except REFUSED:
                break
            late += began_late
        return late

    def delete() -> int:
        tree.delete(path("/d"))
        deleted.set()
        return 0

    answers = race(*(lambda w=writer: writes(w) for writer in range(3)), delete)
    assert answers == [0, 0, 0, 0], round_
    run(tree, "none /d, mkdir /d, list /d")


def test_two_moves_that_would_form_a_loop_do_not_both_succeed(tree: FileTree) -> None:
    for _ in range(5):
        run(tree, "mkdir /a, mkdir /b, write /a/f 1, write /b/g 2")
        answers = race(
            lambda: tree.move(path("/a"), path("/b/a"), overwrite=False),
            lambda: tree.move(path("/b"), path("/a/b"), overwrite=False),
        )
        assert len(acknowledged(answers)) == 1
        assert all(
            isinstance(a, (IntoItself, *REFUSED)) for a in answers if isinstance(a, FileError)
        )
        assert snapshot(tree) in (
            {"a": {"f": b"1", "b": {"g": b"2"}}},
            {"b": {"g": b"2", "a": {"f": b"1"}}},
        )
        run(tree, f"delete /{names(tree, '/')[0]}")


def test_three_moves_that_would_form_a_loop_do_not_all_succeed(tree: FileTree) -> None:
    for _ in range(3):
        run(tree, "mkdir /a, mkdir /b, mkdir /c, write /a/f 1, write /b/f 2, write /c/f 3")
        race(
            lambda: tree.move(path("/a"), path("/b/a"), overwrite=False),
            lambda: tree.move(path("/b"), path("/c/b"), overwrite=False),
            lambda: tree.move(path("/c"), path("/a/c"), overwrite=False),
        )
        assert tree.usage().files == 3
        for name in names(tree, "/"):
            run(tree, f"delete /{name}")


def test_a_copy_during_writes_holds_each_file_whole_and_what_was_there_before(
    tree: FileTree,
) -> None:
    run(tree, "mkdir /d, mkdir /d/e")
    before = {f"/d/e/{number}" for number in range(10)}
    for where in before:
        write(tree, where, b"0" * 70_000)

    def overwrite() -> None:
        for where in sorted(before):
            write(tree, where, b"1" * 80_000)
            write(tree, where + "-new", b"2" * 90_000)

    def copy() -> None:
        tree.copy(path("/d"), path("/copy"), overwrite=False)

    assert race(overwrite, copy) == [None, None]
    copied = {name: read(tree, f"/copy/e/{name}") for name in names(tree, "/copy/e")}
    assert {f"/d/e/{name}" for name in copied} >= before
    assert set(copied.values()) <= {b"0" * 70_000, b"1" * 80_000, b"2" * 90_000}
    for name in names(tree, "/copy/e"):
        assert tree.stat(path(f"/copy/e/{name}")).size == len(copied[name])


def test_properties_set_at_once_are_all_kept(tree: FileTree) -> None:
    write(tree, "/f", b"x")
    answers = race(
        *(
            lambda n=number: tree.set_properties(path("/f"), set={f"{{x}}p{n}": str(n)})
            for number in range(8)
        )
    )
    assert len(acknowledged(answers)) == 8
    assert tree.properties(path("/f")) == {f"{{x}}p{n}": str(n) for n in range(8)}


def test_properties_set_while_a_file_is_moved_to_and_fro_are_kept(tree: FileTree) -> None:
    write(tree, "/a", b"x")

    def moves() -> dict[str, str]:
        for src, dst in [("/a", "/b"), ("/b", "/a")] * 5:
            tree.move(path(src), path(dst), overwrite=False)
        return {}

    def properties() -> dict[str, str]:
        done = {}
        for number in range(30):
            one = {f"{{x}}p{number}": str(number)}
            try:
                tree.set_properties(path("/a"), set=one)
            except NoSuchFile:
                continue
            done.update(one)
        return done

    moved, done = race(moves, properties)
    assert moved == {}
    assert tree.properties(path("/a")) == done
    assert read(tree, "/a") == b"x"


def test_readers_during_overwrites_see_one_whole_version_each(tree: FileTree) -> None:
    versions = [bytes([65 + number]) * (200_000 + number) for number in range(8)]
    write(tree, "/f", versions[0])

    def writes() -> set[bytes]:
        for content in versions:
            write(tree, "/f", content)
        return set()

    def reads() -> set[bytes]:
        return {read(tree, "/f") for _ in range(10)}

    answers = acknowledged(race(writes, reads, reads))
    assert len(answers) == 3
    assert set().union(*answers) <= set(versions)


def test_readers_of_a_file_that_is_moved_to_and_fro_see_it_whole_or_not_at_all(
    tree: FileTree,
) -> None:
    content = b"x" * 200_000
    write(tree, "/a", content)

    def moves() -> set[bytes]:
        for src, dst in [("/a", "/b"), ("/b", "/a")] * 20:
            tree.move(path(src), path(dst), overwrite=False)
        return set()

    def reads() -> set[bytes]:
        found = set()
        for number in range(60):
            with contextlib.suppress(NoSuchFile):
                found.add(read(tree, ("/a", "/b")[number % 2]))
        return found

    answers = acknowledged(race(moves, reads, reads))
    assert len(answers) == 3
    assert set().union(*answers) <= {content}


def test_a_folder_listed_while_it_changes_shows_what_stays(tree: FileTree) -> None:
    run(tree, "mkdir /d")
    stay = {f"stay-{number}" for number in range(20)}
    for name in stay:
        write(tree, Path(("d", name)), b"x")

    def change() -> list[set[str]]:
        for number in range(20):
            write(tree, f"/d/{number}", b"x")
            tree.delete(path(f"/d/{number}"))
        return []

    def look() -> list[set[str]]:
        return [set(names(tree, "/d")) for _ in range(20)]

    answers = acknowledged(race(change, look, look))
    assert len(answers) == 3
    assert all(seen >= stay for answer in answers for seen in answer)
