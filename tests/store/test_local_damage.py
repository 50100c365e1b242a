"""The local store on files that are damaged: told, listed, deleted, never believed."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.store.api import (
    Damaged,
    NotFound,
)
from bridge.store.local import LocalStore
from bridge.store.local.header import CONTENT, SLOT
from tests.store.local_files import overwrite, path_of
from tests.store.objects import keys, put_part, write


@pytest.mark.parametrize("kind", ["zeroed", "flipped", "truncated", "longer", "empty"])
def test_a_damaged_object_is_listed_and_deleted_and_nothing_else(
    root: Path, store: LocalStore, kind: str
) -> None:
    info = write(store, "d/bad", b"content", {"n": "1"})
    write(store, "d/good", b"content", {"n": "2"})
    path = path_of(root, "d/bad")
    if kind == "zeroed":
        overwrite(path, 0, bytes(CONTENT))
    elif kind == "flipped":
        raw = bytearray(path.read_bytes())
        raw[40] ^= 1
        path.write_bytes(raw)
    elif kind == "longer":
        path.write_bytes(path.read_bytes() + b"x")
    else:
        os.truncate(path, CONTENT + 6 if kind == "truncated" else 0)
    listed = {found.key: found.metadata for found in store.list("d/")}
    assert listed == {"d/bad": None, "d/good": {"n": "2"}}
    assert store.stat("d/bad").metadata is None
    for call in (
        lambda: store.get("d/bad"),
        lambda: store.copy("d/bad", "copy"),
        lambda: store.set_metadata("d/bad", {}, info.version),
    ):
        with pytest.raises(Damaged):
            call()
    store.move("d/bad", "moved")
    assert store.stat("moved").metadata is None
    store.delete("moved")
    assert keys(store.list("", recursive=True)) == ["d/good"]


def a_link(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def a_loop(path: Path) -> None:
    path.symlink_to(path)


def a_socket(path: Path) -> None:
    os.mknod(path, stat.S_IFSOCK | 0o600)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a link is an error of the disk")
@pytest.mark.parametrize("plant", [a_link, a_loop, a_socket, os.mkfifo, os.mkdir])
def test_what_is_no_file_is_a_damaged_object_that_nobody_waits_for(
    root: Path, store: LocalStore, plant: Callable[[Path], None]
) -> None:
    write(store, "d/bad", b"content", {"n": "1"})
    write(store, "d/good", b"content", {"n": "2"})
    path = path_of(root, "d/bad")
    path.unlink()
    plant(path)
    assert store.stat("d/bad").metadata is None
    listed = {found.key: found.metadata for found in store.list("d/")}
    assert listed == {"d/bad": None, "d/good": {"n": "2"}}
    for call in (lambda: store.get("d/bad"), lambda: store.copy("d/bad", "copy")):
        with pytest.raises(Damaged):
            call()
    if plant is os.mkdir:
        with pytest.raises(Damaged):
            store.delete("d/bad")
    else:
        store.delete("d/bad")
        assert keys(store.list("", recursive=True)) == ["d/good"]


def test_every_byte_of_a_header_that_is_flipped_is_noticed_or_changes_nothing(
    root: Path, store: LocalStore
) -> None:
    info = write(store, "k", b"content", {"name": "value"})
    path = path_of(root, "k")
    raw = path.read_bytes()
    for offset in range(120):
        overwrite(path, offset, bytes([raw[offset] ^ 0x55]))
        found = store.stat("k")
        assert found.metadata is None or found == info
        overwrite(path, offset, raw[offset : offset + 1])
    assert store.stat("k") == info


def test_a_torn_update_of_metadata_leaves_the_old(root: Path, store: LocalStore) -> None:
    info = write(store, "k", b"content", {"n": "0"})
    path = path_of(root, "k")
    for number in range(1, 4):
        before = path.read_bytes()
        store.set_metadata("k", {"n": str(number) * 800}, info.version)
        after = path.read_bytes()
        at = SLOT * (number % 2)
        for cut in (1, 8, 40, 512, 800):
            torn = bytearray(before)
            torn[at : at + cut] = after[at : at + cut]
            path.write_bytes(torn)
            expected = {"n": "0"} if number == 1 else {"n": str(number - 1) * 800}
            assert store.stat("k").metadata == expected
            store.set_metadata("k", {"n": "again"}, info.version)
            assert store.stat("k").metadata == {"n": "again"}
        path.write_bytes(after)


def test_an_object_cut_while_it_is_read_is_damaged(root: Path, store: LocalStore) -> None:
    write(store, "k", b"x" * 10_000)
    with store.get("k") as download:
        os.truncate(path_of(root, "k"), CONTENT + 100)
        buffer = memoryview(bytearray(1000))
        assert download.readinto(buffer) == 100
        with pytest.raises(Damaged):
            download.readinto(buffer)


def test_a_damaged_part_stops_the_completion(root: Path, store: LocalStore) -> None:
    upload_id = store.create_multipart("k")
    put_part(store, "k", upload_id, 1, b"content")
    overwrite(root / "uploads" / f"{upload_id}" / "00001", 0, bytes(CONTENT))
    with pytest.raises(Damaged):
        store.complete_multipart("k", upload_id, {})
    with pytest.raises(Damaged):
        store.list_parts("k", upload_id)
    with pytest.raises(NotFound):
        store.stat("k")
