"""What only the local store has: its files, its processes, its disk."""

from __future__ import annotations

import errno
import gc
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridge.store.api import (
    KEY_LIMIT,
    Buffer,
    Changed,
    Damaged,
    Forbidden,
    InvalidKey,
    NotFound,
    OutOfSpace,
    StoreError,
    TooLarge,
    Unavailable,
)
from bridge.store.local import LocalStore, listing
from bridge.store.local.disk import Disk
from bridge.store.local.header import CONTENT, SLOT
from bridge.store.local.layout import component_of, directory_of, place_of
from tests.store.objects import keys, put_part, read, write
from tests.store.power_cut import CarelessDisk
from tests.tools import require_tool


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "some" / "where" / "store"


@pytest.fixture
def store(root: Path) -> Iterator[LocalStore]:
    made = LocalStore(root)
    yield made
    made.close()


def path_of(root: Path, key: str) -> Path:
    directory, name = place_of(key)
    return root / "objects" / directory / name


def files(root: Path) -> list[str]:
    """All files and directories of objects and uploads."""
    folders = (root / "objects", root / "uploads")
    return sorted(str(path.relative_to(root)) for folder in folders for path in folder.rglob("*"))


def temporary(root: Path) -> list[Path]:
    return list((root / "tmp").glob("*/*"))


# Paths


def test_a_path_has_nothing_that_a_file_system_could_misread() -> None:
    chance = random.Random(4)
    for _ in range(300):
        key = "/".join(
            "".join(chr(chance.choice([*range(1, 300), 0x20AC, 0x1F600])) for _ in range(9))
            .replace("/", "-")
            .strip(".")
            + "x"
            for _ in range(chance.randrange(1, 4))
        )
        directory, name = place_of(key)
        for part in [*directory.split("/"), name]:
            assert len(part) <= 255
            assert part == part.lower()
            assert part.isascii()
            assert not part.startswith(".")
        assert component_of(name.removesuffix(".o")) == key.rpartition("/")[2]


def test_paths_are_those_of_the_format_for_ever() -> None:
    assert place_of("plain") == ("", "plain.o")
    assert place_of("v/d/aBc_-9") == ("v.d/d.d", "abc_-9=10.o")
    assert place_of("A.b/\u00fc") == ("a%2eb=10.d", "%c3%bc.o")
    assert place_of("x" * 251) == ("x" * 250 + ".c", "x.o")
    assert directory_of("y" * 250 + "/z") == "y" * 250 + ".d/z.d"
    long, name = place_of("X" * 300)
    assert long == "x" * 250 + ".c"
    assert name == "x" * 50 + "=" + "f" * 75 + ".o"


def test_stray_files_are_not_objects_and_do_no_harm(root: Path, store: LocalStore) -> None:
    write(store, "a/b")
    for name in (".DS_Store", "README", "UPPER.o", "%zz.o", "%ff.o", "a=zz.o", "a=ff.o", ".o"):
        (root / "objects" / "a.d" / name).write_bytes(b"stray")
    (root / "tmp" / "stray").write_bytes(b"stray")
    assert keys(store.list("a/")) == ["a/b"]
    LocalStore(root).close()
    assert keys(store.list("", recursive=True)) == ["a/b"]


def test_files_and_folders_are_for_their_owner_only(root: Path, store: LocalStore) -> None:
    write(store, "a/b", b"content")
    assert path_of(root, "a/b").stat().st_mode & 0o777 == 0o600
    assert path_of(root, "a/b").parent.stat().st_mode & 0o777 == 0o700


def test_a_link_in_the_place_of_an_object_is_not_followed(
    root: Path, store: LocalStore, tmp_path: Path
) -> None:
    write(store, "a", b"content")
    path = path_of(root, "a")
    shutil.move(path, tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError):
        store.get("a")


# Emptied directories


def test_emptied_directories_are_removed_but_never_the_root(root: Path, store: LocalStore) -> None:
    long = "Long" * 200 + "/" + "x" * 700
    for key in ("a/b/c/d", "a/e", long):
        write(store, key)
    store.delete("a/b/c/d")
    store.delete(long)
    assert files(root) == ["objects/a.d", "objects/a.d/e.o"]
    store.move("a/e", "f/g/h")
    assert files(root) == ["objects/f.d", "objects/f.d/g.d", "objects/f.d/g.d/h.o"]
    store.delete("f/g/h")
    assert files(root) == []
    assert (root / "objects").is_dir()


def test_nothing_is_left_of_10_000_objects_deleted_at_once(root: Path, store: LocalStore) -> None:
    class CountingDisk(CarelessDisk):
        """One real sync for each object would take a minute."""

        syncs = 0

        def sync(self, fd: int) -> None:
            self.syncs += 1

    disk = CountingDisk()
    quick = LocalStore(root, disk=disk)
    doomed = [f"v/d/{number}" for number in range(10_000)]
    for key in doomed:
        write(quick, key)
    disk.syncs = 0
    quick.delete_many(doomed)
    assert disk.syncs == 1
    assert files(root) == []
    quick.close()


def test_a_failed_change_leaves_no_directory_behind(root: Path, store: LocalStore) -> None:
    with pytest.raises(NotFound):
        store.move("missing", "new/folder/x")
    with pytest.raises(NotFound):
        store.copy("missing", "new/folder/x")
    assert files(root) == []


def test_an_empty_directory_is_no_prefix(root: Path, store: LocalStore) -> None:
    write(store, "a/b")
    (root / "objects" / "left.d" / "over.d").mkdir(parents=True)
    assert keys(store.list("")) == ["a/"]


# Damage


def slot(number: int) -> int:
    return SLOT * number


def overwrite(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


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
        at = slot(number % 2)
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


# Openings, restarts, processes


def test_objects_and_multipart_uploads_are_there_after_a_restart(root: Path) -> None:
    first = LocalStore(root)
    info = write(first, "a/B", b"content", {"k": "v"})
    upload_id = first.create_multipart("m")
    put_part(first, "m", upload_id, 1, b"part", "etag")
    first.close()
    second = LocalStore(root)
    assert second.stat("a/B") == info
    assert [part.etag for part in second.list_parts("m", upload_id)] == ["etag"]
    second.complete_multipart("m", upload_id, {})
    assert read(second, "m") == b"part"
    second.close()
    assert temporary(root) == []


def test_a_live_stores_temporary_files_survive_another_opening(root: Path) -> None:
    first = LocalStore(root)
    upload = first.put("k")
    upload.write(b"content")
    second = LocalStore(root)
    third = LocalStore(root)
    third.close()
    upload.write(b" and more")
    upload.commit({})
    assert read(second, "k") == b"content and more"
    first.close()
    second.close()


DIES = """
import os, sys, pathlib
from bridge.store.local import LocalStore
store = LocalStore(pathlib.Path(sys.argv[1]))
upload = store.put("k")
upload.write(b"x" * 100_000)
part = store.put_part("m", store.create_multipart("m"), 1)
part.write(b"never committed")
os.kill(os.getpid(), 9)
"""


def test_a_dead_processs_temporary_files_are_swept_at_the_next_opening(root: Path) -> None:
    done = subprocess.run([sys.executable, "-c", DIES, str(root)], check=False, timeout=60)
    assert done.returncode == -9
    assert len(temporary(root)) == 2
    store = LocalStore(root)
    assert temporary(root) == []
    assert len(list((root / "tmp").iterdir())) == 1
    assert [upload.key for upload in store.list_multiparts("")] == ["m"]
    assert keys(store.list("", recursive=True)) == []
    store.close()


WRITES = """
import sys, pathlib
from bridge.store.local import LocalStore
from tests.store.objects import write
store = LocalStore(pathlib.Path(sys.argv[1]))
for number in range(40):
    write(store, f"x/y/{sys.argv[2]}", b"content")
    store.move(f"x/y/{sys.argv[2]}", f"z/{sys.argv[2]}")
    store.delete(f"z/{sys.argv[2]}")
store.close()
"""


def test_processes_that_make_and_empty_the_same_folders_do_not_disturb_each_other(
    root: Path,
) -> None:
    running = [
        subprocess.Popen([sys.executable, "-c", WRITES, str(root), str(number)])
        for number in range(3)
    ]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    assert files(root) == []


def test_no_descriptor_stays_open(root: Path) -> None:
    descriptors = Path("/proc/self/fd")
    if not descriptors.is_dir():
        pytest.skip("needs /proc/self/fd")
    gc.collect()
    before = len(list(descriptors.iterdir()))
    store = LocalStore(root, disk=CarelessDisk())
    for number in range(200):  # more directories than are kept open
        write(store, f"{number}/a/b", b"content", {"n": "1"})
        store.move(f"{number}/a/b", f"{number}/c")
        store.copy(f"{number}/c", f"{number}/d")
        store.set_metadata(f"{number}/d", {}, store.stat(f"{number}/d").version)
        with pytest.raises(NotFound):
            store.stat(f"{number}/missing")
        with pytest.raises(TooLarge):
            write(store, f"{number}/e", b"content", {"n": "x" * 3000})
    next(store.list("", recursive=True))
    store.get("1/c")  # dropped
    upload_id = store.create_multipart("m")
    put_part(store, "m", upload_id, 1, b"content")
    store.complete_multipart("m", upload_id, {})
    store.delete_many(keys(store.list("", recursive=True)))
    store.close()
    del store
    gc.collect()
    assert len(list(descriptors.iterdir())) == before


def test_the_store_notices_that_its_folder_is_no_longer_there(
    root: Path, store: LocalStore
) -> None:
    store.probe()
    root.rename(root.with_name("unmounted"))
    with pytest.raises(Unavailable):
        store.probe()
    root.mkdir()
    (root / "objects").mkdir()
    with pytest.raises(Unavailable):
        store.probe()


def test_a_root_that_cannot_be_used_is_said_at_the_opening(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError):
        LocalStore(tmp_path / "file")
    with pytest.raises(StoreError):
        LocalStore(tmp_path / "file" / "below")


# Listing


def test_a_directory_of_more_names_than_are_held_is_listed_whole(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(50):
        write(store, f"d/{number:02}")
        write(store, f"d/sub{number:02}/x")
    whole = keys(store.list("d/"))
    monkeypatch.setattr(listing, "_NAMES", 7)
    assert keys(store.list("d/")) == whole
    assert keys(store.list("d/", cursor=whole[40])) == whole[41:]
    assert len(keys(store.list("", recursive=True))) == 100


def test_a_directory_that_was_removed_and_made_again_is_not_taken_for_durable(
    root: Path, store: LocalStore
) -> None:
    write(store, "a/b")
    other = LocalStore(root)
    other.delete("a/b")
    assert not (root / "objects" / "a.d").exists()
    write(other, "a/c")
    write(store, "a/b", b"content")
    assert keys(other.list("a/")) == ["a/b", "a/c"]
    other.close()


# The disk fails


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
        (errno.EROFS, Forbidden),
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
        "create": [lambda: store.put("a/k"), lambda: store.create_multipart("k"), store.probe],
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
    with pytest.raises(Unavailable):
        upload.commit({})
    disk.failing = {}
    # The kernel has marked the pages clean: a second fsync would succeed and prove nothing.
    with pytest.raises(Unavailable):
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
    deep = "x/" * (KEY_LIMIT // 2 - 1) + "x"
    upload_id = store.create_multipart(deep)
    put_part(store, deep, upload_id, 1, b"part")
    info = store.complete_multipart(deep, upload_id, {})
    store.set_metadata(deep, {"n": "1"}, info.version)
    store.copy(deep, deep + "y")
    store.move(deep + "y", deep + "z")
    assert keys(store.list("", recursive=True)) == [deep, deep + "z"]
    assert keys(store.list(deep[:-1])) == [deep, deep + "z"]
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
    with pytest.raises(OutOfSpace):
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
