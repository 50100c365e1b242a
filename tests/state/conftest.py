"""The databases that every test of the state runs on."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bridge.state.database import DatabaseState, open_state
from tests.tools import require_tool


@dataclass
class Clock:
    """Both clocks of a state, moved by the test alone."""

    seconds: float = 1_700_000_000.5

    def __call__(self) -> float:
        return self.seconds


@dataclass
class Database:
    """One empty database, opened as often as a test likes, as by several processes."""

    url: str
    clock: Clock = field(default_factory=Clock)
    opened: list[DatabaseState] = field(default_factory=list)

    def open(self, *, real: bool = False, ttl: float = 60.0, busy: float = 5.0) -> DatabaseState:
        """A state over it; on the test's clock unless ``real``."""
        state = (
            open_state(self.url, ttl=ttl, busy=busy)
            if real
            else open_state(self.url, ttl=ttl, busy=busy, clock=self.clock, monotonic=self.clock)
        )
        self.opened.append(state)
        return state


@pytest.fixture(params=["sqlite"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    database = Database(str(tmp_path / "state.db"))
    yield database
    for state in database.opened:
        state.close()


@pytest.fixture
def state(database: Database) -> DatabaseState:
    return database.open()


@pytest.fixture
def clock(database: Database) -> Clock:
    return database.clock


def until(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    """Poll until ``holds``, or fail."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "did not come true in time"
        time.sleep(0.002)


@contextmanager
def mounted_disk(point: Path, size: int) -> Iterator[Path]:
    """A file system of ``size`` bytes at ``point``; skips where this process may not mount one."""
    point.mkdir()
    done = subprocess.run(
        [require_tool("mount"), "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(point)],
        capture_output=True,
        check=False,
    )
    if done.returncode:
        pytest.skip("mounting a small tmpfs needs root")
    try:
        yield point
    finally:
        subprocess.run([require_tool("umount"), "--lazy", str(point)], check=True)


def fill(ballast: Path) -> None:
    """Let ``ballast`` grow until its disk has no byte left."""
    with ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            continue
