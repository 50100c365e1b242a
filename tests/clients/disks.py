"""Disks that fill up, stand still or go away: file systems of a test's own, mounted by root."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.clients.programs import run
from tests.tools import require_tool


def _mount(*arguments: str | Path) -> None:
    """Mount, or skip where this process may not (containers often may not)."""
    if os.geteuid() != 0:
        pytest.skip("mounting a file system needs root here")
    done = run([require_tool("mount"), *arguments], check=False)
    if done.returncode != 0:
        pytest.skip(f"mounting a file system is not permitted here: {done.stderr.strip()}")


@contextmanager
def small_disk(point: Path, size: int) -> Iterator[Path]:
    """A tmpfs of ``size`` bytes at ``point``."""
    point.mkdir(parents=True)
    _mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", point)
    try:
        yield point
    finally:
        run([require_tool("umount"), "--lazy", point])


def remount(point: Path, mode: str) -> None:
    """Make a mounted file system read-only (``ro``) or writable again (``rw``)."""
    run([require_tool("mount"), "-o", f"remount,{mode}", point])


@contextmanager
def freezable_disk(point: Path, size: int) -> Iterator[Path]:
    """An ext4 file system of ``size`` bytes in a file of its own, at ``point``."""
    image = point.parent / f"{point.name}.img"
    point.mkdir(parents=True)
    with image.open("wb") as file:
        file.truncate(size)
    run([require_tool("mkfs.ext4"), "-q", image])
    _mount("-o", "loop", image, point)
    try:
        yield point
    finally:
        run([require_tool("umount"), "--lazy", point])
        image.unlink()


@contextmanager
def frozen(point: Path, seconds: float) -> Iterator[None]:
    """Writes to the file system at ``point`` hang from now on, for ``seconds``.

    A thread thaws it, whatever happens to the test: nothing could end a process that hangs on it.
    """
    program = require_tool("fsfreeze")
    done = run([program, "--freeze", point], check=False)
    if done.returncode != 0:
        pytest.skip(f"freezing a file system is not permitted here: {done.stderr.strip()}")
    timer = threading.Timer(seconds, run, [[program, "--unfreeze", point]])
    timer.start()
    try:
        yield
    finally:
        timer.join()
