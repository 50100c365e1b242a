"""What only the local store has: its paths, folders, openings and processes."""

from __future__ import annotations

import gc
import os
import random
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from bridge.store.api import (
    NotFound,
    StoreError,
    TooLarge,
    Unavailable,
)
from bridge.store.local import LocalStore, listing
from bridge.store.local.layout import component_of, directory_of, place_of
from tests.store.local_files import files, path_of, temporary
from tests.store.objects import keys, put_part, read, write
from tests.store.power_cut import CarelessDisk


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
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("needs /proc/self/fd")
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
    assert opened_below(root)
    store.close()
    del store
    gc.collect()
    assert opened_below(root) == []


def opened_below(root: Path) -> list[str]:
    """What this process has open there, be it removed since."""
    found = []
    for number in os.listdir("/proc/self/fd"):  # noqa: PTH208
        with suppress(FileNotFoundError):  # closed meanwhile
            found.append(os.readlink(f"/proc/self/fd/{number}"))  # noqa: PTH115
    return [path for path in found if Path(path).is_relative_to(root)]


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
