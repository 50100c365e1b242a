"""The demo as a folder of this machine: by davfs2, and by ``rclone mount``."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.clients.programs import run
from tests.clients.rclone import Rclone
from tests.clients.waiting import wait_until
from tests.processes import Demo
from tests.tools import require_tool


def require_fuse() -> None:
    """Skip unless this process may mount a FUSE file system (containers often may not)."""
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("/dev/fuse cannot be opened here")
    if os.geteuid() != 0:
        pytest.skip("mounting needs root here")


@contextmanager
def davfs_mounted(demo: Demo, folder: str, home: Path) -> Iterator[Path]:
    """``folder`` mounted by davfs2 with locks on; unmounted, so flushed, at the end."""
    require_fuse()
    mount = require_tool("mount.davfs")
    unmount = require_tool("umount.davfs")
    # davfs2 gives root up for a user of its own, who cannot enter pytest's folders.
    cache = Path(tempfile.mkdtemp(prefix="davfs-cache-"))
    shutil.chown(cache, group="davfs2")
    cache.chmod(0o775)
    point, url = home / "davfs", f"{demo.url.rstrip('/')}/{folder}"
    point.mkdir(parents=True)
    secrets = home / "secrets"
    secrets.write_text(f'"{url}" "{demo.username}" "{demo.password}"\n')
    secrets.chmod(0o600)
    settings = home / "davfs2.conf"
    # Linux 6.16 and later ask for more directory at a time than davfs2's default buffer holds.
    settings.write_text(
        f"secrets {secrets}\ncache_dir {cache}\n"
        "ask_auth 0\nuse_locks 1\nlock_timeout 1800\ndelay_upload 0\ngui_optimize 0\nbuf_size 256\n"
    )
    try:
        mounted = run([mount, url, point, "-o", f"conf={settings}"], check=False)
        if "Operation not permitted" in mounted.stderr:
            pytest.skip(f"mounting is not permitted here: {mounted.stderr.strip()}")
        assert mounted.returncode == 0, mounted.stderr
        try:
            yield point
        finally:
            run([unmount, point])
    finally:
        shutil.rmtree(cache)


@contextmanager
def rclone_mounted(rclone: Rclone, folder: str, home: Path) -> Iterator[Path]:
    """``folder`` mounted by rclone with its write cache; unmounted, so flushed, at the end."""
    require_fuse()
    unmount = require_tool("fusermount3")
    point = home / "rclone-mount"
    point.mkdir(parents=True)
    arguments = [
        rclone.program, "mount", f"bridge:{folder}", str(point), "--vfs-cache-mode", "writes",
        "--vfs-write-back", "0s",
    ]  # fmt: skip
    with (home / "rclone-mount.log").open("wb") as log:
        process = subprocess.Popen(
            arguments, env={**os.environ, **rclone.environment}, stdout=log, stderr=log
        )
    try:
        wait_until(lambda: point.is_mount() or process.poll() is not None, "the mount", limit=30)
        if process.poll() is not None:
            said = (home / "rclone-mount.log").read_text()
            if "not permitted" in said:
                pytest.skip(f"mounting is not permitted here: {said}")
            pytest.fail(said)
        yield point
        # rclone uploads in the background: what it has queued must be out before the end.
        wait_until(lambda: not list(_waiting_for_upload(home)), "uploads to end", limit=60)
    finally:
        if process.poll() is None:
            run([unmount, "-u", point], check=False)
            process.wait(60)


def _waiting_for_upload(home: Path) -> Iterator[Path]:
    """The files of rclone's cache whose metadata still says that they must be uploaded."""
    for item in (home / "rclone-cache" / "vfsMeta").rglob("*"):
        if item.is_file() and '"Dirty": true' in item.read_text():
            yield item
