"""davfs2: the demo as a mounted folder, with locks, appends and renames."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.clients.dav import Dav
from tests.clients.mounts import davfs_mounted
from tests.clients.names import content, odd_files, read_tree
from tests.clients.waiting import wait_until
from tests.processes import Demo

CHANGED_BY_DAVFS2 = frozenset({"n" * 251 + ".txt"})
"""davfs2 keeps a cached file by a longer name than its own, so 255 bytes do not fit."""


def test_davfs2_writes_appends_renames_and_deletes(
    demo: Demo, dav: Dav, folder: str, tmp_path: Path
) -> None:
    data = content("davfs2", 5 << 20)
    with davfs_mounted(demo, folder, tmp_path) as mounted:
        (mounted / "file").write_bytes(data)
        (mounted / "one").mkdir()
        (mounted / "one" / "inside").write_bytes(b"inside")
        with (mounted / "file").open("ab") as file:
            file.write(b"appended")
        (mounted / "file").rename(mounted / "one" / "renamed")
        # davfs2 uploads in the background, and loses sight of a file if its folder moves meanwhile.
        whole = data + b"appended"
        wait_until(
            lambda: dav.request("GET", f"{folder}/one/renamed").body == whole, "upload", limit=30
        )
        (mounted / "one").rename(mounted / "two")
        (mounted / "gone").write_bytes(b"gone")
        (mounted / "gone").unlink()
        (mounted / "empty").mkdir()
        (mounted / "empty").rmdir()
        # davfs2 shows a folder of its own, for what it could not upload: nothing is in it.
        assert read_tree(mounted).keys() == {"lost+found", "two", "two/inside", "two/renamed"}
    assert dav.tree(folder) == {
        "two": None,
        "two/inside": b"inside",
        "two/renamed": whole,
    }
    with davfs_mounted(demo, folder, tmp_path / "again") as mounted:
        assert (mounted / "two" / "renamed").read_bytes() == whole


def test_davfs2_locks_a_file_while_it_is_open_for_writing(
    demo: Demo, dav: Dav, folder: str, tmp_path: Path
) -> None:
    dav.put(f"{folder}/file", b"old")
    with (
        davfs_mounted(demo, folder, tmp_path) as mounted,
        (mounted / "file").open("r+b") as file,
    ):
        file.write(b"new")
        assert dav.request("PUT", f"{folder}/file", b"intruder").status == 423
    assert dav.get(f"{folder}/file") == b"new"
    assert dav.request("PUT", f"{folder}/file", b"welcome").status == 204


def test_davfs2_keeps_odd_names(demo: Demo, dav: Dav, folder: str, tmp_path: Path) -> None:
    files = {name: data for name, data in odd_files().items() if name not in CHANGED_BY_DAVFS2}
    with davfs_mounted(demo, folder, tmp_path) as mounted:
        (mounted / "moved").mkdir()
        for name, data in files.items():
            (mounted / name).write_bytes(data)
            (mounted / name).rename(mounted / "moved" / name)
    assert dav.tree(f"{folder}/moved") == files


def test_davfs2_carries_a_tree_in_and_out(
    demo: Demo, dav: Dav, folder: str, tmp_path: Path
) -> None:
    tree = {f"{number % 5}/{number}": content(str(number), number * 700) for number in range(100)}
    for name, data in tree.items():
        (tmp_path / "up" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "up" / name).write_bytes(data)
    with davfs_mounted(demo, folder, tmp_path) as mounted:
        shutil.copytree(tmp_path / "up", mounted / "tree")
    assert dav.tree(f"{folder}/tree") == read_tree(tmp_path / "up")
    with davfs_mounted(demo, folder, tmp_path / "again") as mounted:
        shutil.copytree(mounted / "tree", tmp_path / "down")
    assert read_tree(tmp_path / "down") == read_tree(tmp_path / "up")
