"""rclone, as vendor ``other`` and as ``owncloud``: copy, check, sync, move, purge and bisync."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.clients.dav import Dav
from tests.clients.names import content, odd_files, read_tree, write_tree
from tests.clients.rclone import Rclone
from tests.processes import Demo

SMALL_FILES = 1_000

LOST_BY_RCLONE = frozenset({"trailing.txt "})
"""rclone's WebDAV backend writes a trailing space as U+2420, by its own choice of encoding."""


@pytest.fixture(params=["other", "owncloud"])
def rclone(request: pytest.FixtureRequest, demo: Demo, tmp_path: Path) -> Rclone:
    return Rclone(demo, tmp_path, request.param)


def test_rclone_copies_a_tree_of_odd_names_there_and_back(
    rclone: Rclone, dav: Dav, folder: str, tmp_path: Path
) -> None:
    files = {name: data for name, data in odd_files().items() if name not in LOST_BY_RCLONE}
    tree = {**files, **{f"sub folder/;?#/{name}": data for name, data in files.items()}}
    tree["empty"] = b""
    tree["large"] = content("large", 12 << 20)
    write_tree(tmp_path / "up", tree)
    rclone("copy", tmp_path / "up", f"bridge:{folder}")
    rclone("check", "--download", tmp_path / "up", f"bridge:{folder}")
    assert dav.names(folder) == sorted([*files, "sub folder", "empty", "large"])
    rclone("copy", f"bridge:{folder}", tmp_path / "down")
    assert read_tree(tmp_path / "down") == read_tree(tmp_path / "up")


def test_rclone_syncs_changes_and_deletions(
    rclone: Rclone, dav: Dav, folder: str, tmp_path: Path
) -> None:
    up = tmp_path / "up"
    write_tree(up, {"keep": b"same", "change": b"old", "gone/file": b"x", "gone too": b"y"})
    rclone("sync", up, f"bridge:{folder}")
    (up / "change").write_bytes(b"rewritten")
    (up / "gone too").unlink()
    (up / "gone" / "file").unlink()
    (up / "gone").rmdir()
    write_tree(up, {"new/deep/file": b"new"})
    rclone("sync", up, f"bridge:{folder}")
    rclone("check", "--download", up, f"bridge:{folder}")
    assert dav.tree(folder) == read_tree(up)


def test_rclone_makes_moves_and_purges_folders(
    rclone: Rclone, dav: Dav, folder: str, tmp_path: Path
) -> None:
    write_tree(tmp_path / "up", {"one/file": b"content", "one/two/file": b"deeper"})
    rclone("copy", tmp_path / "up", f"bridge:{folder}")
    rclone("mkdir", f"bridge:{folder}/made/deep")
    rclone("moveto", f"bridge:{folder}/one/file", f"bridge:{folder}/made/renamed ;#?")
    rclone("moveto", f"bridge:{folder}/one", f"bridge:{folder}/made/one")
    rclone("copyto", f"bridge:{folder}/made/renamed ;#?", f"bridge:{folder}/copy")
    assert dav.tree(folder) == {
        "copy": b"content",
        "made": None,
        "made/deep": None,
        "made/one": None,
        "made/one/two": None,
        "made/one/two/file": b"deeper",
        "made/renamed ;#?": b"content",
    }
    rclone("rmdir", f"bridge:{folder}/made/deep")
    assert rclone("rmdir", f"bridge:{folder}/made", check=False).returncode != 0
    rclone("purge", f"bridge:{folder}/made")
    assert dav.names(folder) == ["copy"]


def test_rclone_carries_a_thousand_small_files(
    rclone: Rclone, dav: Dav, folder: str, tmp_path: Path
) -> None:
    files = {f"f{number % 10}/{number}": content(str(number), 500) for number in range(SMALL_FILES)}
    write_tree(tmp_path / "up", files)
    rclone("copy", "--transfers", "16", tmp_path / "up", f"bridge:{folder}")
    rclone("check", "--download", "--checkers", "16", tmp_path / "up", f"bridge:{folder}")
    assert sum(len(dav.names(f"{folder}/f{tenth}")) for tenth in range(10)) == SMALL_FILES


def test_rclone_bisync_carries_changes_both_ways(
    rclone: Rclone, dav: Dav, folder: str, tmp_path: Path
) -> None:
    here, there = tmp_path / "here", f"bridge:{folder}"
    write_tree(here, {f"file {number}": content(str(number)) for number in range(20)})
    bisync = ("bisync", here, there, "--workdir", tmp_path / "work")
    rclone(*bisync, "--resync")
    assert dav.tree(folder) == read_tree(here)

    write_tree(here, {"sub/from here": b"h", "file 0": b"changed here, and longer"})
    (here / "file 1").unlink()
    dav.put(f"{folder}/from there", b"t")
    dav.put(f"{folder}/file 2", b"changed there, and shorter")
    dav.delete(f"{folder}/file 3")
    rclone(*bisync)
    expected = {f"file {number}": content(str(number)) for number in range(4, 20)}
    expected |= {
        "file 0": b"changed here, and longer",
        "file 2": b"changed there, and shorter",
        "from there": b"t",
        "sub/from here": b"h",
    }
    assert read_tree(here) == {**expected, "sub": None}
    assert dav.tree(folder) == {**expected, "sub": None}
    rclone("check", "--download", here, there)


def test_rclone_as_owncloud_keeps_modification_times(
    demo: Demo, dav: Dav, folder: str, tmp_path: Path
) -> None:
    rclone = Rclone(demo, tmp_path, "owncloud")
    write_tree(tmp_path / "up", {"file": b"dated"})
    os.utime(tmp_path / "up" / "file", (1_000_000_000, 1_000_000_000))
    rclone("copy", tmp_path / "up", f"bridge:{folder}")
    rclone("copy", f"bridge:{folder}", tmp_path / "down")
    assert (tmp_path / "down" / "file").stat().st_mtime == 1_000_000_000
    again = rclone("copy", "--verbose", tmp_path / "up", f"bridge:{folder}").stderr
    assert "Copied" not in again
    assert dav.get(f"{folder}/file") == b"dated"
