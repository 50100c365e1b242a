"""The databases that every test of the state runs on."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from bridge.state.database import DatabaseState, open_state
from bridge.state.postgres_connection import ADVISORY
from tests.postgres import PostgreSQL, new_schema
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

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file."""
        return "://" not in self.url

    def open(
        self, *, real: bool = False, ttl: float = 60.0, linger: float = 0.0, busy: float = 5.0
    ) -> DatabaseState:
        """A state over it; on the test's clock unless ``real``."""
        state = (
            open_state(self.url, ttl=ttl, linger=linger, busy=busy)
            if real
            else open_state(
                self.url,
                ttl=ttl,
                linger=linger,
                busy=busy,
                clock=self.clock,
                monotonic=self.clock,
            )
        )
        self.opened.append(state)
        return state

    def run(self, *statements: str) -> list[tuple[object, ...]]:
        """Run plain SQL, committed at the end; returns the rows of the last one."""
        rows: list[tuple[object, ...]] = []
        if self.is_sqlite:
            with contextlib.closing(sqlite3.connect(self.url, isolation_level=None)) as connection:
                connection.execute("BEGIN IMMEDIATE")
                for statement in statements:
                    rows = connection.execute(statement).fetchall()
                connection.execute("COMMIT")
            return rows
        with psycopg.connect(self.url) as other:
            for statement in statements:
                cursor = other.execute(statement.encode())
                rows = cursor.fetchall() if cursor.description else []
        return rows

    @contextmanager
    def blocked(self) -> Iterator[None]:
        """Be another process in the middle of a transaction that writes."""
        if self.is_sqlite:
            with contextlib.closing(sqlite3.connect(self.url, isolation_level=None)) as connection:
                connection.execute("BEGIN IMMEDIATE")
                yield
                connection.execute("ROLLBACK")
        else:
            with psycopg.connect(self.url) as other:
                other.execute(ADVISORY.encode())
                yield


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    database = Database(
        str(tmp_path / "state.db")
        if request.param == "sqlite"
        else new_schema(request.getfixturevalue("postgresql"))
    )
    yield database
    for state in database.opened:
        state.close()


@pytest.fixture
def on_postgresql(postgresql: PostgreSQL) -> Iterator[Database]:
    """An empty database on PostgreSQL, for what SQLite cannot do."""
    database = Database(new_schema(postgresql))
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
