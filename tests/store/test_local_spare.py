"""The local store on a full disk: what frees room goes on. And what its probe says of a disk."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from bridge.store.api import OutOfSpace, ReadOnly, Unavailable
from bridge.store.local import LocalStore
from bridge.store.local.disk import Disk
from bridge.store.local.spare import SIZE
from bridge.store.local.store import PROBE_SECONDS
from tests.clients.disks import freezable_disk, remount, small_disk
from tests.store.local_files import temporary
from tests.store.objects import keys, read, write


class FullDisk(Disk):
    """Makes and enlarges nothing while ``full``; what is emptied makes room for one directory."""

    def __init__(self) -> None:
        self.full = False
        self.room = 0
        self.failing: OSError | None = None
        self.syncs = 0

    def write(self, fd: int, data: bytes | bytearray | memoryview, offset: int) -> None:
        self._need(room=False)
        super().write(fd, data, offset)

    def mkdir(self, path: str, dir_fd: int | None) -> None:
        self._need(room=self.room > 0)
        self.room -= self.full
        super().mkdir(path, dir_fd)

    def truncate(self, fd: int) -> None:
        super().truncate(fd)
        self.room += 1

    def sync(self, fd: int) -> None:
        self.syncs += 1
        if self.failing is not None:
            raise self.failing
        super().sync(fd)

    def _need(self, *, room: bool) -> None:
        if self.full and not room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def fill(folder: Path) -> None:
    """Leave no byte of the folder's disk: in blocks, then byte by byte."""
    for name, step in (("blocks", 4096), ("bytes", 1)):
        with (folder / name).open("wb", buffering=0) as file:
            try:
                while file.write(bytes(step)):
                    continue
            except OSError as error:
                assert error.errno == errno.ENOSPC  # noqa: PT017 - where the filling ends


def test_a_move_on_a_full_disk_is_made_with_the_spare_room_which_is_taken_again(root: Path) -> None:
    disk = FullDisk()
    store = LocalStore(root, disk=disk)
    for number in range(4):
        write(store, f"from/{number}", b"content", {"n": "1"})
    spare = root / "spare"
    assert spare.stat().st_size == SIZE
    disk.full = True
    store.move("from/0", "to/0")
    assert spare.stat().st_size == 0
    with pytest.raises(OutOfSpace):
        store.move("from/1", "elsewhere/1")
    store.delete("from/2")
    assert spare.stat().st_size == 0
    disk.full = False
    store.delete("from/3")
    assert spare.stat().st_size == SIZE
    assert keys(store.list("", recursive=True)) == ["from/1", "to/0"]
    assert read(store, "to/0") == b"content"
    store.close()


def test_only_what_frees_room_uses_the_spare_room(root: Path) -> None:
    disk = FullDisk()
    store = LocalStore(root, disk=disk)
    write(store, "k", b"content")
    disk.full = True
    with pytest.raises(OutOfSpace):
        write(store, "new/k", b"content")
    with pytest.raises(OutOfSpace):
        store.copy("k", "new/copy")
    assert (root / "spare").stat().st_size == SIZE
    store.close()


def test_spare_room_that_another_process_used_is_made_up_for(root: Path) -> None:
    store = LocalStore(root)
    (root / "spare").write_bytes(b"")
    store.probe()
    assert (root / "spare").stat().st_size == SIZE
    store.close()
    (root / "spare").unlink()
    LocalStore(root).close()
    assert (root / "spare").stat().st_size == SIZE


def test_on_a_disk_full_to_the_last_byte_a_folder_is_taken_away_and_emptied(
    tmp_path: Path,
) -> None:
    with freezable_disk(tmp_path / "disk", 16 << 20) as disk:
        store = LocalStore(disk / "store")
        for number in range(100):
            write(store, f"d/folder/{number:080}", b"content")
        write(store, "d/root/folder", b"")
        fill(disk)
        with pytest.raises(OutOfSpace):
            write(store, "d/root/new", b"content")
        store.move("d/root/folder", "r/folder")
        store.delete_many(keys(store.list("d/folder/")))
        store.delete("r/folder")
        write(store, "d/root/new", b"content")
        assert keys(store.list("", recursive=True)) == ["d/root/new"]
        fill(disk)
        store.close()
        store = LocalStore(disk / "store")
        store.probe()
        store.delete("d/root/new")
        store.close()


def test_the_probe_has_the_disk_take_a_file_from_time_to_time(root: Path) -> None:
    disk, now = FullDisk(), 100.0
    store = LocalStore(root, disk=disk, monotonic=lambda: now)
    before = disk.syncs
    store.probe()
    store.probe()
    assert disk.syncs == before + 1
    now += PROBE_SECONDS
    disk.failing = OSError(errno.EIO, os.strerror(errno.EIO))
    for _ in range(2):
        with pytest.raises(Unavailable):
            store.probe()
    disk.failing = None
    store.probe()
    assert temporary(root) == []
    store.close()


def test_a_full_disk_answers_its_probe(root: Path) -> None:
    disk = FullDisk()
    store = LocalStore(root, disk=disk)
    disk.full = True
    store.probe()
    assert temporary(root) == []
    store.close()


def test_a_disk_that_turns_read_only_is_told_by_the_probe(tmp_path: Path) -> None:
    now = 0.0
    with small_disk(tmp_path / "disk", 1 << 20) as disk:
        store = LocalStore(disk / "store", monotonic=lambda: now)
        write(store, "k", b"content")
        store.probe()
        remount(disk, "ro")
        now += PROBE_SECONDS
        with pytest.raises(ReadOnly):
            store.probe()
        with pytest.raises(ReadOnly):
            store.delete("k")
        assert read(store, "k") == b"content"
        remount(disk, "rw")
        store.probe()
        store.close()
