"""A whole tree on the disk, in plain text."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path as DiskPath

import pytest

from bridge.files.errors import FileError
from bridge.files.export import Export, Exported
from bridge.files.path import Path
from bridge.files.plain_folder import PlainFolder, TargetError
from bridge.store.local import LocalStore
from tests.clients.disks import small_disk
from tests.network.client import Network
from tests.network.values import Project
from tests.recovery.scene import APART, TENANT, Scene, on_disk, served, write_all
from tests.store.storj.opening import open_bucket


@pytest.fixture
def scene(tmp_path: DiskPath) -> Iterator[Scene]:
    with served(LocalStore(tmp_path / "store"), tmp_path, standalone=APART) as made:
        yield made


@pytest.fixture
def target(tmp_path: DiskPath) -> DiskPath:
    return tmp_path / "target"


def export(
    scene: Scene, target: DiskPath, progress: Callable[[Exported], None] = lambda _so_far: None
) -> Exported:
    with PlainFolder(target) as folder:
        return Export(scene.tree, folder, progress).run()


def troubles(done: Exported) -> dict[str, str]:
    return {trouble.path: trouble.words for trouble in done.troubles}


def whole_tree_is_written(scene: Scene, target: DiskPath) -> None:
    write_all(scene)
    done = export(scene, target)
    shown = scene.shown()
    assert done.troubles == ()
    assert {n: (s.digest, s.mtime) for n, s in on_disk(target).items()} == {
        n: (s.digest, s.mtime) for n, s in shown.items()
    }
    assert done.files == sum(bool(seen.digest) for seen in shown.values())
    assert done.files + done.folders == len(shown)
    assert int(target.stat().st_mtime) == scene.tree.stat(Path()).mtime
    again = export(scene, target)
    assert (again.skipped, again.bytes) == (done.files, 0)


def test_the_whole_tree_is_written_as_webdav_shows_it(scene: Scene, target: DiskPath) -> None:
    whole_tree_is_written(scene, target)


@pytest.mark.timeout(300)
def test_the_whole_tree_is_written_from_storj(
    network: Network, storj_project: Project, tmp_path: DiskPath, target: DiskPath
) -> None:
    with served(open_bucket(network, storj_project), tmp_path, standalone=APART) as scene:
        whole_tree_is_written(scene, target)


def test_what_has_changed_is_brought_up_to_date(scene: Scene, target: DiskPath) -> None:
    for name in ("kept", "changed", "half", "deleted"):
        scene.put(name, body=b"content")
    export(scene, target)
    inode = (target / "kept").stat().st_ino
    scene.put("changed", body=b"another")
    scene.delete("deleted")
    (target / "half").write_bytes(b"con")
    (target / "of my own").write_bytes(b"left alone")
    done = export(scene, target)
    assert (done.files, done.skipped) == (3, 1)
    assert (target / "kept").stat().st_ino == inode
    assert {path.name: path.read_bytes() for path in target.iterdir()} == {
        "kept": b"content",
        "changed": b"another",
        "half": b"content",
        "deleted": b"content",
        "of my own": b"left alone",
    }


def test_what_is_damaged_is_told_and_the_rest_is_written(scene: Scene, target: DiskPath) -> None:
    walker, store = scene.tree.vault.walker, scene.store
    for name in ("whole", "record", "body", "elsewhere"):
        scene.put(name, body=os.urandom(70_000))
    scene.put("without body", body=os.urandom(2 * APART))
    keys = {name: walker.place(Path((name,))).key for name in ("record", "body", "elsewhere")}
    record = store.stat(keys["record"])
    store.set_metadata(keys["record"], {"r": "A" * 80}, record.version)
    body = store.stat(keys["body"])
    upload = store.put(keys["body"])
    upload.write(bytes(body.size))
    upload.commit(body.metadata or {})
    scene.folder("folder")
    folder = scene.tree.vault.walker.find_existing(Path(("folder",)))[1].object_id
    foreign = scene.tree.vault.layout.entry(folder, keys["elsewhere"].rpartition("/")[2])
    store.move(keys["elsewhere"], foreign)
    (apart,) = store.list(f"{TENANT}/o/")
    store.delete(apart.key)
    done = export(scene, target)
    assert {path.name for path in target.iterdir()} == {"whole", "folder"}
    found = troubles(done)
    assert set(found) == {"/record", "/body", "/without body", "/"}
    assert foreign in found["/"]


def test_hostile_names_stay_in_the_target(scene: Scene, target: DiskPath) -> None:
    vault = scene.tree.vault
    scene.put("good", body=b"good")
    key = vault.walker.place(Path(("good",))).key
    hostile = (
        "..",
        ".",
        "a/b",
        "../../evil",
        "/tmp/evil",
        "nul\0",
        "x" * 256,
        ".storj-bridge-export",
    )
    for name in hostile:
        scene.store.copy(
            key, vault.layout.entry(vault.root, vault.keys.names.seal(vault.root, name))
        )
    outside = {path for path in target.parent.rglob("*") if target not in path.parents}
    done = export(scene, target)
    assert len(list(target.iterdir())) == 1 + len(hostile) == done.files
    assert {path.read_bytes() for path in target.iterdir()} == {b"good"}
    assert len(done.troubles) == len(hostile)
    assert all("written as" in trouble.words for trouble in done.troubles)
    after = {path for path in target.parent.rglob("*") if target not in path.parents}
    assert after - outside <= {target}


def test_a_folder_at_two_places_and_one_in_itself_end(scene: Scene, target: DiskPath) -> None:
    vault = scene.tree.vault
    scene.folder("one")
    scene.put("one", "file", body=b"content")
    place = vault.walker.place(Path(("one",)))
    inside = vault.walker.find_existing(Path(("one",)))[1].object_id
    seal = vault.keys.names.seal
    scene.store.copy(place.key, vault.layout.entry(vault.root, seal(vault.root, "two")))
    scene.store.copy(place.key, vault.layout.entry(inside, seal(inside, "itself")))
    done = export(scene, target)
    assert len(done.troubles) == 2
    assert done.files == 1


def test_an_export_ends_where_the_store_is_gone(scene: Scene, target: DiskPath) -> None:
    for number in range(50):
        scene.put(str(number), body=b"content")
    with pytest.raises(FileError):
        export(scene, target, lambda _so_far: scene.store.close())
    assert all(path.read_bytes() == b"content" for path in target.iterdir())


def test_an_export_ends_where_the_disk_is_full(scene: Scene, tmp_path: DiskPath) -> None:
    for number in range(10):
        scene.put(str(number), body=os.urandom(300_000))
    with small_disk(tmp_path / "small", 1 << 20) as target:
        with pytest.raises(TargetError, match="No space left"):
            export(scene, target)
        assert all(path.stat().st_size == 300_000 for path in target.iterdir())


def test_what_is_deleted_or_replaced_meanwhile_is_no_trouble(
    scene: Scene, target: DiskPath
) -> None:
    for number in range(40):
        scene.put(f"{number:02}", body=b"content")

    def change(so_far: Exported) -> None:
        if so_far.files == 1:
            scene.tree.delete(Path(("38",)))
            scene.tree.delete(Path(("39",)))
            scene.tree.mkdir(Path(("39",)))

    done = export(scene, target, change)
    assert done.troubles == ()
    assert done.files in range(38, 41)
