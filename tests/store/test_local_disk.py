"""The local store on a disk that fails, is full, or cannot do all it is asked."""

from __future__ import annotations

import errno
import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridge.store.api import (
    COMPONENTS_LIMIT,
    Buffer,
    Changed,
    Forbidden,
    InvalidKey,
    OutOfSpace,
    ReadOnly,
    StoreError,
    TooLarge,
    Unavailable,
    UploadBroken,
)
from bridge.store.local import LocalStore
from bridge.store.local.disk import Disk
from tests.store.local_files import files, temporary
from tests.store.objects import keys, put_part, read, write
from tests.tools import require_tool


class FailingDisk(Disk):
    """Fails in the calls named by ``failing`` with an error number."""

    def __init__(self) -> None:
        self.failing: dict[str, int] = {}
        self.skip = 0

    def _check(self, call: str) -> None:
        if call in self.failing:
            if self.skip:
                self.skip -= 1
                return
            raise OSError(self.failing[call], os.strerror(self.failing[call]))

    def open(self, path: str, flags: int, dir_fd: int) -> int:
        self._check("create" if flags & os.O_CREAT else "open")
        return super().open(path, flags, dir_fd)

    def write(self, fd: int, data: Buffer, offset: int) -> None:
        self._check("write")
        super().write(fd, data, offset)

    def copy(self, src: int, dst: int, count: int, src_offset: int, dst_offset: int) -> int:
        self._check("copy")
        return super().copy(src, dst, count, src_offset, dst_offset)

    def sync(self, fd: int) -> None:
        self._check("sync")
        super().sync(fd)

    def sync_data(self, fd: int) -> None:
        self._check("sync_data")
        super().sync_data(fd)

    def rename(self, src: str, dst: str, src_fd: int, dst_fd: int) -> None:
        self._check("rename")
        super().rename(src, dst, src_fd, dst_fd)

    def link(self, src: str, dst: str, src_fd: int, dst_fd: int) -> None:
        self._check("link")
        super().link(src, dst, src_fd, dst_fd)

    def unlink(self, path: str, dir_fd: int) -> None:
        self._check("unlink")
        super().unlink(path, dir_fd)

    def mkdir(self, path: str, dir_fd: int | None) -> None:
        self._check("mkdir")
        super().mkdir(path, dir_fd)


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (errno.ENOSPC, OutOfSpace),
        (errno.EDQUOT, OutOfSpace),
        (errno.EFBIG, TooLarge),
        (errno.EACCES, Forbidden),
        (errno.EPERM, Forbidden),
        (errno.EROFS, ReadOnly),
        (errno.ENAMETOOLONG, InvalidKey),
        (errno.EIO, Unavailable),
        (errno.EMFILE, Unavailable),
        (errno.ESTALE, Unavailable),
    ],
)
def test_an_error_of_the_disk_is_told_by_its_meaning(
    root: Path, number: int, error: type[StoreError]
) -> None:
    disk = FailingDisk()
    store = LocalStore(root, disk=disk)
    info = write(store, "a/k", b"content", {"n": "1"})
    upload_id = store.create_multipart("m")
    put_part(store, "m", upload_id, 1, b"content")
    calls: dict[str, list[Callable[[], object]]] = {
        "create": [lambda: store.put("a/k"), lambda: store.create_multipart("k")],
        "write": [lambda: write(store, "a/k", b"new")],
        "sync": [
            lambda: write(store, "a/new", b"new"),
            lambda: store.copy("a/k", "a/copy"),
            lambda: store.create_multipart("k"),
            lambda: store.complete_multipart("m", upload_id, {}),
        ],
        "sync_data": [lambda: store.set_metadata("a/k", {}, info.version)],
        "copy": [
            lambda: store.copy("a/k", "a/copy"),
            lambda: store.complete_multipart("m", upload_id, {}),
        ],
        "rename": [
            lambda: write(store, "a/k", b"new"),
            lambda: store.move("a/k", "a/moved"),
            lambda: store.abort_multipart("m", upload_id),
            lambda: store.create_multipart("k"),
        ],
        "link": [lambda: write(store, "a/new", b"new", if_absent=True)],
        "unlink": [lambda: store.delete("a/k")],
        "mkdir": [lambda: write(store, "new/k", b"new"), lambda: store.create_multipart("k")],
        "open": [
            lambda: store.stat("a/k"),
            lambda: store.get("a/k"),
            lambda: list(store.list("a/")),
        ],
    }
    if number == errno.EPERM:
        del calls["copy"]  # there it means that the kernel cannot copy; see below
    for failing, made in calls.items():
        for call in made:
            disk.failing = {failing: number}
            with pytest.raises(error):
                call()
            disk.failing = {}
            assert read(store, "a/k") == b"content"
            assert keys(store.list("", recursive=True)) == ["a/k"]
            assert [upload.key for upload in store.list_multiparts("")] == ["m"]
            # What an unlink that failed had to leave is swept with the process.
            assert temporary(root) == [] or failing == "unlink"
    store.close()


def test_a_failed_sync_is_never_trusted_the_second_time(root: Path) -> None:
    disk = FailingDisk()
    store = LocalStore(root, disk=disk)
    upload = store.put("k")
    upload.write(b"content")
    disk.failing = {"sync": errno.EIO}
    with pytest.raises(UploadBroken):
        upload.commit({})
    disk.failing = {}
    # The kernel has marked the pages clean: a second fsync would succeed and prove nothing.
    with pytest.raises(UploadBroken):
        upload.commit({})
    assert keys(store.list("")) == []
    store.close()


def test_where_the_kernel_cannot_copy_the_store_does(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object) -> int:
        raise OSError(errno.EOPNOTSUPP, "not here")

    monkeypatch.setattr(os, "copy_file_range", refuse, raising=False)
    store = LocalStore(root)
    content = random.Random(1).randbytes(2_500_000)
    write(store, "k", content)
    store.copy("k", "copy")
    assert read(store, "copy") == content
    store.close()


def test_no_more_metadata_than_its_place_holds_is_taken(root: Path, store: LocalStore) -> None:
    names = {chr(0x4E00 + number)[:1]: "" for number in range(600)}
    with pytest.raises(TooLarge):
        write(store, "k", b"content", names)
    info = write(store, "k", b"content")
    with pytest.raises(TooLarge):
        store.set_metadata("k", names, info.version)
    assert store.stat("k") == info


def test_a_version_is_not_taken_for_that_of_a_replaced_object(
    root: Path, store: LocalStore
) -> None:
    info = write(store, "k", b"old")
    other = LocalStore(root)
    write(other, "k", b"new", {"n": "new"})
    with pytest.raises(Changed):
        store.set_metadata("k", {"n": "old"}, info.version)
    assert store.stat("k").metadata == {"n": "new"}
    other.close()


def test_the_deepest_key_goes_through_every_operation(root: Path, store: LocalStore) -> None:
    deep = "x/" * (COMPONENTS_LIMIT - 1) + "x"
    upload_id = store.create_multipart(deep)
    put_part(store, deep, upload_id, 1, b"part")
    info = store.complete_multipart(deep, upload_id, {})
    store.set_metadata(deep, {"n": "1"}, info.version)
    store.copy(deep, deep + "y")
    store.move(deep + "y", deep + "z")
    assert keys(store.list("", recursive=True)) == [deep, deep + "z"]
    assert keys(store.list("x/" * (COMPONENTS_LIMIT - 1))) == [deep, deep + "z"]
    assert keys(store.list("")) == ["x/"]
    store.delete_many([deep, deep + "z"])
    assert files(root) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB."""
    mount = require_tool("mount")
    place = tmp_path / "small"
    place.mkdir()
    done = subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=2m", "none", str(place)],
        check=False,
        capture_output=True,
    )
    if done.returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield place
    subprocess.run([require_tool("umount"), "-l", str(place)], check=True)


def test_on_a_full_disk_the_old_content_stays_and_nothing_is_left_over(small_disk: Path) -> None:
    store = LocalStore(small_disk / "store")
    content = random.Random(9).randbytes(700_000)
    info = write(store, "k", content, {"n": "1"})
    free = shutil.disk_usage(small_disk).free
    upload = store.put("k")
    upload.write(bytes(100_000))
    with pytest.raises(OutOfSpace):
        upload.write(bytes(2_000_000))
    with pytest.raises(UploadBroken, match="No space"):
        upload.commit({})
    assert temporary(small_disk / "store") == []
    assert shutil.disk_usage(small_disk).free == free
    write(store, "second", content)
    with pytest.raises(OutOfSpace):
        store.copy("k", "copy")
    with pytest.raises(OutOfSpace):
        write(store, "third", content)
    assert temporary(small_disk / "store") == []
    assert read(store, "k") == content
    # Metadata has its place already, whatever else fills the disk.
    with (small_disk / "filler").open("wb", buffering=0) as file:
        while shutil.disk_usage(small_disk).free:
            file.write(bytes(4096))
    store.set_metadata("k", {"n": "x" * 1900}, info.version)
    store.move("k", "moved")
    store.delete("second")
    write(store, "second", b"now it fits")
    assert keys(store.list("")) == ["moved", "second"]
    store.close()
