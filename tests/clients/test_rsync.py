"""rsync into a mounted folder of the demo and back, verified by checksums."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.dav import Dav
from tests.clients.mounts import davfs_mounted, rclone_mounted
from tests.clients.names import content, odd_files, read_tree, write_tree
from tests.clients.programs import run
from tests.clients.rclone import Rclone
from tests.clients.test_davfs2 import CHANGED_BY_DAVFS2
from tests.clients.test_rclone import LOST_BY_RCLONE
from tests.processes import Demo
from tests.tools import require_tool

NAMES_LEFT_OUT = CHANGED_BY_DAVFS2 | LOST_BY_RCLONE


@pytest.fixture(params=["davfs2", "rclone"])
def mounted(
    request: pytest.FixtureRequest, demo: Demo, folder: str, tmp_path: Path
) -> Iterator[Path]:
    """A folder of the demo, mounted by either program."""
    if request.param == "davfs2":
        with davfs_mounted(demo, folder, tmp_path) as point:
            yield point
    else:
        with rclone_mounted(Rclone(demo, tmp_path), folder, tmp_path) as point:
            yield point


def test_rsync_carries_a_tree_there_and_back(mounted: Path, dav: Dav, tmp_path: Path) -> None:
    rsync = require_tool("rsync")
    tree = {name: data for name, data in odd_files().items() if name not in NAMES_LEFT_OUT}
    tree |= {f"many/{n}/{n}": content(str(n), 3_000) for n in range(60)}
    tree["large"] = content("large", 8 << 20)
    up, down = tmp_path / "up", tmp_path / "down"
    write_tree(up, tree)
    # Into WebDAV without times and owners, which it does not keep, and without temporary names.
    carry = (rsync, "--recursive", "--inplace", "--whole-file")
    compare = (rsync, "--recursive", "--checksum", "--dry-run", "--delete", "--itemize-changes")
    run([*carry, f"{up}/", f"{mounted}/"])
    listed = run([*compare, "--exclude", "lost+found", f"{up}/", f"{mounted}/"]).stdout
    assert listed == ""
    run([*carry, "--exclude", "lost+found", f"{mounted}/", f"{down}/"])
    assert read_tree(down) == read_tree(up)

    (up / "large").write_bytes(content("larger", 9 << 20))
    (up / "many" / "7" / "7").unlink()
    run([rsync, "--recursive", "--delete", "--checksum", "--exclude", "lost+found",
         f"{up}/", f"{mounted}/"])  # fmt: skip
    listed = run([*compare, "--exclude", "lost+found", f"{up}/", f"{mounted}/"]).stdout
    assert listed == ""
    assert dav.exists("")
