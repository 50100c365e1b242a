"""Somebody who can write to the store, but has no key: found out, never obeyed, never endless.

What is outside the promise (an older version put back whole, two files of one folder exchanged
whole on a store that does not bind content to keys) is not tested here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path as FilePath

import pytest

from bridge.files.api import FileTree
from bridge.files.errors import DamagedFile, FileError
from bridge.files.path import Path
from tests.files.script import names, path, read, run, write
from tests.files.vault import LAYOUT, OpenNew, Vault, check_clean
from tests.store.objects import read as read_object
from tests.store.objects import write as write_object

CHUNK = 65_536
SEALED = 65_552
HEADER = 528


def metadata_of(vault: Vault, key: str) -> dict[str, str]:
    return dict(vault.store.stat(key).metadata or {})


def give_record(vault: Vault, source: str, target: str) -> None:
    """Put the record of one object on another, whose content stays."""
    version = vault.store.stat(target).version
    vault.store.set_metadata(target, metadata_of(vault, source), version)


def check_damaged(vault: Vault, where: str) -> None:
    """The file there is never read wrong: reading says that it is damaged."""
    with pytest.raises(DamagedFile):
        read(vault.tree(), where)


class TestDirectoryRecords:
    @pytest.mark.parametrize("points_to", ["/a", "/a/b", "/a/b/c", "/x"])
    def test_pointing_elsewhere_make_no_walk_endless(self, vault: Vault, points_to: str) -> None:
        run(
            vault.tree(),
            "mkdir /a, mkdir /a/b, mkdir /a/b/c, write /a/b/f f, mkdir /x, write /x/g g",
        )
        victim = vault.key_of("a", "b", "c")
        if points_to != "/a/b/c":
            give_record(vault, vault.key_of(*path(points_to).names), victim)
        tree = vault.tree()
        assert tree.usage().files == 2
        assert names(tree, "/a/b") == ["c", "f"]
        with contextlib.suppress(FileError):
            run(tree, "copy /a /copied")
        with contextlib.suppress(FileError):
            run(tree, "move /a/b /a/b/c/b")
        for _ in range(2):
            with contextlib.suppress(FileError):
                assert len(names(tree, "/a/b/c/b/c/b/c/b/c")) in (1, 2)
        found = vault.fsck()
        assert ("LINKED_TWICE" in found) == (points_to != "/a/b/c")
        run(vault.tree(), "delete /a")
        vault.reap()
        assert vault.keys_under(LAYOUT.removals) == []

    def test_of_a_folder_put_on_a_file_harm_nothing_else(self, vault: Vault) -> None:
        run(vault.tree(), "mkdir /d, write /d/f f, write /g g")
        give_record(vault, vault.key_of("d"), vault.key_of("g"))
        assert "LINKED_TWICE" in vault.fsck()
        run(vault.tree(), "is /d/f f")

    def test_of_a_file_put_on_a_folder_read_as_damaged(self, vault: Vault) -> None:
        run(vault.tree(), "mkdir /d, write /d/f f, write /g g")
        give_record(vault, vault.key_of("g"), vault.key_of("d"))
        check_damaged(vault, "/d")
        run(vault.tree(), "is /g g")


class TestEntries:
    def test_moved_under_another_folder_do_not_open_there(self, vault: Vault) -> None:
        run(vault.tree(), "mkdir /a, mkdir /b, write /a/f f")
        key = vault.key_of("a", "f")
        target = vault.key_of("b", "f").rsplit("/", 1)[0] + "/" + key.rsplit("/", 1)[1]
        vault.store.move(key, target)
        tree = vault.tree()
        run(tree, "none /b/f, list /b, none /a/f, list /a")
        assert vault.fsck() == ["FOREIGN_NAME"]
        assert vault.fsck(repair=True) == ["FOREIGN_NAME"]
        (name,) = names(vault.tree(), "/lost+found")
        run(vault.tree(), f"is /lost+found/{name} f")
        check_clean(vault)

    def test_that_carry_each_others_records_are_damaged(self, vault: Vault) -> None:
        tree = vault.tree()
        write(tree, "/f", b"1" * 10)
        write(tree, "/g", b"2" * 10)
        f, g = vault.key_of("f"), vault.key_of("g")
        records = metadata_of(vault, f), metadata_of(vault, g)
        vault.store.set_metadata(f, records[1], vault.store.stat(f).version)
        vault.store.set_metadata(g, records[0], vault.store.stat(g).version)
        check_damaged(vault, "/f")
        check_damaged(vault, "/g")

    def test_that_carry_the_record_of_an_older_body_are_damaged(self, vault: Vault) -> None:
        write(vault.tree(), "/f", b"old content")
        key = vault.key_of("f")
        old = metadata_of(vault, key)
        write(vault.tree(), "/f", b"new content")
        vault.store.set_metadata(key, old, vault.store.stat(key).version)
        check_damaged(vault, "/f")

    def test_of_another_tenant_are_damaged(
        self, vault: Vault, open_new: OpenNew, tmp_path: FilePath
    ) -> None:
        (tmp_path / "other").mkdir()
        run(vault.tree(), "write /f mine")
        key = vault.key_of("f")
        with open_new(tmp_path / "other") as other:
            write(other.tree(), "/f", b"theirs")
            theirs = other.key_of("f")
            write_object(
                vault.store, key, read_object(other.store, theirs), metadata_of(other, theirs)
            )
        check_damaged(vault, "/f")
        (entry,) = vault.tree().list(Path())
        assert (entry.name, entry.damaged) == ("f", True)


BODIES: dict[str, Callable[[bytes], bytes]] = {
    "cut by a byte": lambda body: body[:-1],
    "cut by a chunk": lambda body: body[: HEADER + 2 * SEALED],
    "cut to one chunk": lambda body: body[: HEADER + SEALED],
    "cut to its header": lambda body: body[:HEADER],
    "cut within its header": lambda body: body[:100],
    "empty": lambda _body: b"",
    "longer by a byte": lambda body: body + b"x",
    "longer by a chunk": lambda body: body + body[-SEALED:],
    "two chunks exchanged": lambda body: (
        body[:HEADER]
        + body[HEADER + SEALED : HEADER + 2 * SEALED]
        + body[HEADER : HEADER + SEALED]
        + body[HEADER + 2 * SEALED :]
    ),
    "a chunk repeated": lambda body: (
        body[: HEADER + SEALED] + body[HEADER : HEADER + SEALED] + body[HEADER + 2 * SEALED :]
    ),
    "a bit of the first chunk": lambda body: _flip(body, HEADER + 5),
    "a bit of the last chunk": lambda body: _flip(body, len(body) - 20),
    "a bit of the last tag": lambda body: _flip(body, len(body) - 1),
}


def _flip(body: bytes, at: int) -> bytes:
    return body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]


@pytest.mark.parametrize("change", BODIES)
def test_a_body_that_was_changed_is_never_read_wrong(vault: Vault, change: str) -> None:
    content = bytes(range(256)) * (2 * CHUNK // 256) + b"the end"
    write(vault.tree(), "/f", content)
    key = vault.key_of("f")
    body = read_object(vault.store, key)
    write_object(vault.store, key, BODIES[change](body), metadata_of(vault, key))
    check_damaged(vault, "/f")
    for start, length in ((0, 10), (CHUNK - 5, 10), (2 * CHUNK, 7), (len(content) - 1, 1)):
        with contextlib.suppress(DamagedFile):
            assert read(vault.tree(), "/f", start, length) == content[start : start + length]


def test_a_record_with_any_bit_changed_does_not_open(vault: Vault) -> None:
    write(vault.tree(), "/f", b"content")
    key = vault.key_of("f")
    ((name, sealed),) = metadata_of(vault, key).items()
    for at in range(0, len(sealed), 7):
        other = "A" if sealed[at] != "A" else "B"
        changed = sealed[:at] + other + sealed[at + 1 :]
        vault.store.set_metadata(key, {name: changed}, vault.store.stat(key).version)
        assert vault.tree().stat(path("/f")).damaged


@pytest.mark.parametrize("how", ["another file's", "an older one", "cut", "gone"])
def test_spilled_properties_that_are_not_the_records_are_refused(vault: Vault, how: str) -> None:
    tree = vault.tree()
    for name in ("f", "g"):
        write(tree, f"/{name}", b"x")
        tree.set_properties(path(f"/{name}"), set={"{x}p": name * 4_000})
    keys = vault.keys_under(LAYOUT.spills)
    contents = [read_object(vault.store, key) for key in keys]
    for key, content in zip(keys, reversed(contents), strict=True):
        if how == "another file's":
            write_object(vault.store, key, content)
        elif how == "cut":
            write_object(vault.store, key, content[:-1])
        elif how == "gone":
            vault.store.delete(key)
    if how == "an older one":
        tree.set_properties(path("/f"), set={"{x}p": "n" * 4_000})
        new = [key for key in vault.keys_under(LAYOUT.spills) if key not in keys]
        old = next(
            content
            for key, content in zip(keys, contents, strict=True)
            if key not in vault.keys_under(LAYOUT.spills)
        )
        write_object(vault.store, new[0], old)
    with pytest.raises(FileError):
        vault.tree().properties(path("/f"))
    run(vault.tree(), "is /f x, is /g x")


OPERATIONS: dict[str, Callable[[FileTree], object]] = {
    "open": lambda tree: tree.open(path("/f")),
    "move": lambda tree: tree.move(path("/f"), path("/n"), overwrite=False),
    "copy": lambda tree: tree.copy(path("/f"), path("/n"), overwrite=False),
    "set properties": lambda tree: tree.set_properties(path("/f"), set={"{x}p": "v"}),
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_damaged_entry_is_shown_and_can_be_deleted_and_nothing_else(
    vault: Vault, operation: str
) -> None:
    run(vault.tree(), "write /f x, write /g y")
    key = vault.key_of("f")
    vault.store.set_metadata(key, {"r": "none"}, vault.store.stat(key).version)
    tree = vault.tree()
    entries = {entry.name: entry.damaged for entry in tree.list(Path())}
    assert entries == {"f": True, "g": False}
    assert tree.stat(path("/f")).damaged
    with pytest.raises(DamagedFile):
        OPERATIONS[operation](tree)
    tree.delete(path("/f"))
    run(tree, "list / g, none /n")
    run(vault.tree(), "list / g")
    check_clean(vault)


@pytest.mark.parametrize(
    "script", ["write /d x", "mkdir /d", "move! /g /d", "copy! /g /d", "copy! /e /d"]
)
def test_a_damaged_folder_is_not_replaced_unseen(vault: Vault, script: str) -> None:
    """Its record is lost, but all in it could be found again: only a deletion gives it up."""
    run(vault.tree(), "mkdir /d, write /d/f precious, write /g y, mkdir /e")
    key = vault.key_of("d")
    vault.store.set_metadata(key, {"r": "none"}, vault.store.stat(key).version)
    with pytest.raises(FileError):
        run(vault.tree(), script)
    assert vault.tree().stat(path("/d")).damaged


def test_foreign_objects_in_the_bucket_disturb_nothing(vault: Vault) -> None:
    run(vault.tree(), "mkdir /d, write /d/f x")
    folder = vault.key_of("d", "f").rsplit("/", 1)[0]
    write_object(vault.store, f"{folder}/not-a-name", b"x")
    write_object(vault.store, f"{folder}/deeper/still", b"x")
    write_object(vault.store, "v/d/not-an-id/x", b"x")
    write_object(vault.store, "v/r/not-an-id", b"x")
    write_object(vault.store, "v/stranger", b"x")
    run(vault.tree(), "list / d, list /d f, is /d/f x, copy /d /e, list /e f, delete /d")
    vault.reap()
    run(vault.tree(), "list / e, is /e/f x")
    assert "UNKNOWN_OBJECT" in vault.fsck()


def test_an_entry_under_a_name_not_its_own_keeps_no_removed_folder_alive(vault: Vault) -> None:
    """It has extras, for which the reaper wants a lease, and no name to take the lease by."""
    run(vault.tree(), "mkdir /d, write /d/f x")
    vault.tree().set_properties(path("/d/f"), set={"{x}p": f"<p>{'z' * 8192}</p>"})
    key = vault.key_of("d", "f")
    vault.store.move(key, f"{key.rsplit('/', 1)[0]}/not-a-name")
    run(vault.tree(), "delete /d")
    vault.reap()
    assert vault.keys_under() == []
