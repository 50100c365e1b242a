"""System calls of a running process that fail: strace attaches, tampers, and lets go again.

So a disk with an error is shown to the real program, which has no switch for it.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.clients.waiting import wait_until
from tests.tools import require_tool

STORE_COMMITS = "fsync,rename,renameat,renameat2,link,linkat,mkdir,mkdirat"
"""What the local store calls to make a change durable, and SQLite with its WAL does not."""


@contextmanager
def failing(pid: int, calls: str, scratch: Path) -> Iterator[None]:
    """Every one of ``calls`` (comma-separated) of process ``pid`` fails with EIO meanwhile."""
    said = scratch / "strace.err"
    with said.open("wb") as errors:
        tracer = subprocess.Popen(
            [require_tool("strace"), "-f", "-p", str(pid), "-o", "/dev/null",
             "-e", f"trace={calls}", "-e", f"inject={calls}:error=EIO"],
            stderr=errors,
        )  # fmt: skip
    try:
        wait_until(lambda: said.read_text() or tracer.poll() is not None, "strace", limit=20)
        if tracer.poll() is not None:
            pytest.skip(f"attaching to a process is not permitted here: {said.read_text()}")
        yield
    finally:
        if tracer.poll() is None:
            tracer.send_signal(signal.SIGINT)
            tracer.wait(30)
